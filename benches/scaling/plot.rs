//! The picture: a panel for each of H, B and T, forward above and training below.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::measure::{Figure, Spread};
use crate::report::{PASSES, Report};
use crate::sweep::Sweep;

type Drawn = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Name, colour, width of the line, and which figures.
type Curve = (&'static str, RGBColor, u32, fn(&Figure) -> Option<Spread>);

const INK: RGBColor = RGBColor(55, 65, 81);
const GRID: RGBColor = RGBColor(229, 231, 235);
const CURVES: [Curve; 4] = [
    ("CPU layer", RGBColor(107, 114, 128), 3, |figure| figure.cpu),
    ("GPU, with h_n on the host", RGBColor(234, 88, 12), 3, |figure| figure.gpu_read),
    ("GPU, until it is done", RGBColor(147, 178, 214), 2, |figure| figure.gpu),
    ("GPU, by its own clock", RGBColor(15, 118, 110), 2, |figure| figure.gpu_stamps),
];

/// Draws an SVG file.
pub(crate) fn draw(path: &str, report: &Report) -> Drawn {
    let root = SVGBackend::new(path, (1380, 900)).into_drawing_area();
    root.fill(&WHITE)?;
    let adapter = report.about.iter().find(|(name, _)| *name == "adapter").map_or("", |(_, value)| value);
    let root = root.titled(adapter, text(15))?;
    for (row, pass) in root.split_evenly((PASSES.len(), 1)).iter().zip(PASSES) {
        for (panel, sweep) in row.split_evenly((1, report.sweeps.len())).iter().zip(&report.sweeps) {
            draw_panel(panel, report, sweep, pass)?;
        }
    }
    root.present()?;
    Ok(())
}

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn draw_panel(area: &Area<'_>, report: &Report, sweep: &Sweep, pass: &str) -> Drawn {
    let line: Vec<(f64, &Figure)> = report.line(sweep, pass).map(|(value, figure)| (value as f64, figure)).collect();
    let (Some(&(from, _)), Some(&(to, _))) = (line.first(), line.last()) else { return Ok(()) };
    let spreads = || line.iter().flat_map(|(_, figure)| CURVES.iter().filter_map(|(.., of)| of(figure)));
    let low = spreads().map(|spread| spread.first_quartile).fold(f64::INFINITY, f64::min) / 1.5;
    // Room for the legend.
    let high = spreads().map(|spread| spread.third_quartile).fold(0.0, f64::max) * 12.0;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{pass}: {}", report.crossover_words(sweep, pass)), text(16))
        .margin(10)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d((from / 1.2..to * 1.2).log_scale().base(2.0), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style(text(13))
        .axis_desc_style(text(14))
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|ms| format!("{ms}"))
        .x_desc(sweep.axis.words())
        .y_desc("ms")
        .draw()?;
    for (name, color, width, of) in CURVES {
        let points: Vec<(f64, Spread)> =
            line.iter().filter_map(|&(value, figure)| Some((value, of(figure)?))).collect();
        if points.is_empty() {
            continue;
        }
        let style = color.stroke_width(width);
        let medians = points.iter().map(|(value, spread)| (*value, spread.median));
        let drawn = chart.draw_series(LineSeries::new(medians.clone(), style))?;
        drawn.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        chart.draw_series(medians.map(|at| Circle::new(at, 3, color.filled())))?;
        chart.draw_series(points.iter().map(|&(value, Spread { first_quartile, third_quartile, .. })| {
            PathElement::new([(value, first_quartile), (value, third_quartile)], color.stroke_width(1))
        }))?;
    }
    for crossover in report.crossovers(sweep, pass) {
        let at = crossover.at;
        chart.draw_series([PathElement::new([(at, low), (at, high)], INK.stroke_width(1))])?;
        let label = text(13).pos(Pos::new(HPos::Left, VPos::Bottom));
        chart.draw_series([Text::new(format!(" {} = {at:.0}", sweep.axis.name()), (at, low * 1.1), label)])?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(GRID)
        .label_font(text(12))
        .draw()?;
    Ok(())
}
