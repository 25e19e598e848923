//! The picture: truth and forecast over the held-out years, and the error over the months ahead.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::data::Series;
use crate::features::HORIZONS;
use crate::score::{Forecasts, HeldOut};

/// How far ahead the forecast in the picture is.
pub(crate) const AHEAD: usize = 12;

const INK: RGBColor = RGBColor(55, 65, 81);
const GRID: RGBColor = RGBColor(229, 231, 235);
const TRUTH: RGBColor = RGBColor(107, 114, 128);
const FILL: RGBColor = RGBColor(238, 240, 243);
const GRU: RGBColor = RGBColor(234, 88, 12);
const PERSISTENCE: RGBColor = RGBColor(147, 178, 214);
const AUTOREGRESSION: RGBColor = RGBColor(15, 118, 110);

/// What the picture shows.
#[derive(Debug)]
pub(crate) struct Picture<'a> {
    pub(crate) series: &'a Series,
    pub(crate) held_out: &'a HeldOut,
    pub(crate) gru: &'a Forecasts,
    pub(crate) persistence: &'a Forecasts,
    /// The best of the autoregressions.
    pub(crate) autoregression: &'a Forecasts,
}

type Drawn = Result<(), Box<dyn Error>>;

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

impl Picture<'_> {
    /// Draws an SVG file.
    pub(crate) fn draw(&self, path: &Path) -> Drawn {
        let root = SVGBackend::new(path, (1280, 520)).into_drawing_area();
        root.fill(&WHITE)?;
        let (left, right) = root.split_horizontally(930);
        self.draw_years(&left)?;
        self.draw_errors(&right)?;
        root.present()?;
        Ok(())
    }

    fn draw_years(&self, area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Drawn {
        let months = self.held_out.months.clone();
        let year = |month: usize| self.series.month(month).as_year();
        let truth: Vec<(f64, f64)> = months.clone().map(|t| (year(t), f64::from(self.series.values[t]))).collect();
        let forecast = |of: &Forecasts| months.clone().map(|t| (year(t), of.of(t, AHEAD))).collect::<Vec<_>>();
        let [gru, persistence] = [self.gru, self.persistence].map(forecast);
        let top = truth.iter().chain(&gru).map(|&(_, count)| count).fold(0.0, f64::max);
        let top = (top / 50.0).ceil() * 50.0;

        let mut chart = ChartBuilder::on(area)
            .caption(format!("Sunspot numbers forecast {AHEAD} months ahead, years never trained on"), text(21))
            .margin(14)
            .x_label_area_size(48)
            .y_label_area_size(62)
            .build_cartesian_2d(year(months.start)..year(months.end), 0.0..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(TRUTH)
            .label_style(text(15))
            .axis_desc_style(text(16))
            .x_labels(10)
            .x_label_formatter(&|year| format!("{year:.0}"))
            .y_label_formatter(&|count| format!("{count:.0}"))
            .x_desc("year")
            .y_desc("monthly mean sunspot number")
            .draw()?;

        let mut below = truth.clone();
        below.extend([(year(months.end - 1), 0.0), (year(months.start), 0.0)]);
        chart.draw_series([Polygon::new(below, FILL.filled())])?;
        let truth = chart.draw_series(LineSeries::new(truth, TRUTH.stroke_width(1)))?;
        truth.label("observed").legend(|at| legend_line(at, TRUTH.stroke_width(2)));
        let line = chart.draw_series(LineSeries::new(persistence, PERSISTENCE.mix(0.75).stroke_width(1)))?;
        line.label(format!("persistence: the number of {AHEAD} months before"))
            .legend(|at| legend_line(at, PERSISTENCE.stroke_width(2)));
        let line = chart.draw_series(LineSeries::new(gru, GRU.stroke_width(3)))?;
        line.label(format!("GRU, {AHEAD} months ahead")).legend(|at| legend_line(at, GRU.stroke_width(3)));
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.9))
            .border_style(GRID)
            .label_font(text(15))
            .margin(8)
            .draw()?;
        Ok(())
    }

    fn draw_errors(&self, area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Drawn {
        let curve = |of: &Forecasts| -> Vec<(f64, f64)> {
            (1..=HORIZONS).map(|ahead| (ahead as f64, of.errors(self.series, self.held_out, ahead).rmse)).collect()
        };
        let curves = [
            (curve(self.persistence), PERSISTENCE, "persistence"),
            (curve(self.autoregression), AUTOREGRESSION, self.autoregression.name.as_str()),
            (curve(self.gru), GRU, "GRU"),
        ];
        let top = curves.iter().flat_map(|(curve, ..)| curve).map(|&(_, rmse)| rmse).fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .caption("Error by months ahead", text(21))
            .margin(14)
            .x_label_area_size(48)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..HORIZONS as f64 + 0.5, 0.0..(top / 10.0).ceil() * 10.0)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(TRUTH)
            .label_style(text(15))
            .axis_desc_style(text(16))
            .x_labels(5)
            .y_labels(8)
            .x_label_formatter(&|ahead| format!("{ahead:.0}"))
            .y_label_formatter(&|rmse| format!("{rmse:.0}"))
            .x_desc("months ahead")
            .y_desc("root mean square error")
            .draw()?;
        for (curve, color, name) in curves {
            chart.draw_series(LineSeries::new(curve.iter().copied(), color.stroke_width(3)))?;
            // Named at its middle, where the curves lie apart and rise: the lowest below and right of it, the others
            // above and left.
            let Some(&middle) = curve.get(curve.len() / 2) else { continue };
            let (corner, offset) = if color == GRU {
                (Pos::new(HPos::Left, VPos::Top), (2, 8))
            } else {
                (Pos::new(HPos::Right, VPos::Bottom), (-4, -8))
            };
            let style = text(17).color(&color).pos(corner);
            chart.draw_series([EmptyElement::at(middle) + Text::new(name.to_owned(), offset, style)])?;
        }
        Ok(())
    }
}

fn legend_line((x, y): (i32, i32), style: ShapeStyle) -> PathElement<(i32, i32)> {
    PathElement::new(vec![(x, y), (x + 20, y)], style)
}
