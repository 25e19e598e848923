//! The picture: the norms on the left, the trainings on the right.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::LENGTH;
use crate::clipping::{MAX_NORM, RATE, Run};
use crate::norms::Flow;

type Drawn = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const GRID: RGBColor = RGBColor(232, 234, 238);
const FREE: RGBColor = RGBColor(220, 38, 38);
const CLIPPED: RGBColor = RGBColor(15, 118, 110);

/// Draws an SVG file.
pub(crate) fn draw(path: &Path, flows: &[Flow], steps: usize, free: &[Run], clipped: &[Run]) -> Drawn {
    let root = SVGBackend::new(path, (1280, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(660);
    draw_flows(&left, flows)?;
    draw_runs(&right, steps, free, clipped)?;
    root.present()?;
    Ok(())
}

fn draw_flows(area: &Area<'_>, flows: &[Flow]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .caption("Gradient of the state, going back in time", ("sans-serif", 22))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..LENGTH as f64, (1e-12..1e12).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .x_desc("steps back from the loss")
        .y_desc("norm, that at the loss being 1")
        .x_label_formatter(&|back| format!("{back:.0}"))
        .y_label_formatter(&|norm| format!("{norm:.0e}"))
        .draw()?;
    for Flow { name, color, norms } in flows {
        let points = norms.iter().rev().enumerate().map(|(back, &norm)| (back as f64, norm.clamp(1e-12, 1e12)));
        let style = color.stroke_width(3);
        let line = chart.draw_series(LineSeries::new(points, style))?;
        line.label(*name).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(GRID)
        .label_font(("sans-serif", 15))
        .draw()?;
    Ok(())
}

/// One line a seed.
fn draw_runs(area: &Area<'_>, steps: usize, free: &[Run], clipped: &[Run]) -> Drawn {
    const LEAST: f32 = 0.005;
    const MOST: f32 = 1e4;
    let mut chart = ChartBuilder::on(area)
        .caption("Training a plain RNN whose gradient explodes", ("sans-serif", 22))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..steps as f64, (LEAST..MOST).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .x_desc(format!("training steps, gradient descent with rate {RATE}"))
        .y_desc("mean squared error, one line a seed")
        .x_label_formatter(&|step| format!("{step:.0}"))
        .y_label_formatter(&|loss| format!("{loss}"))
        .draw()?;
    let groups = [
        (free, FREE, "without clipping".to_owned()),
        (clipped, CLIPPED, format!("clipped to a global norm of {MAX_NORM}")),
    ];
    for (runs, color, name) in groups {
        let style = color.stroke_width(2);
        for (index, run) in runs.iter().enumerate() {
            // A line ends where it leaves the picture for good; NaN counts as outside.
            let end = run.losses.iter().rposition(|loss| *loss < MOST).map_or(0, |last| last + 2);
            let shown =
                run.losses.iter().take(end).map(|loss| if loss.is_nan() { MOST } else { loss.clamp(LEAST, MOST) });
            let line = chart.draw_series(LineSeries::new(shown.enumerate().map(|(x, y)| (x as f64, y)), style))?;
            if index == 0 {
                line.label(&name).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], style));
            }
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .border_style(GRID)
        .label_font(("sans-serif", 15))
        .draw()?;
    Ok(())
}
