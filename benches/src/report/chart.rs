//! A chart as SVG: lines over two axes. Knows nothing of what they mean.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 320.0;
/// Around what is drawn: for numbers on the left and below, for the title above.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 160.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 28.0;

/// Lines on an axis without names, about.
const TICKS: f64 = 6.0;

/// Distinct without red against green.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

#[derive(Debug)]
pub(super) enum Axis {
    Linear,
    Log,
    /// With names at some places.
    Named(Vec<(f64, String)>),
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
}

#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Axis {
    fn scaled(&self, value: f64) -> f64 {
        match self {
            Self::Linear | Self::Named(_) => value,
            Self::Log => value.max(f64::MIN_POSITIVE).log10(),
        }
    }

    /// From where to where it goes so that all of `values` are on it.
    fn range(&self, values: impl Iterator<Item = f64>) -> (f64, f64) {
        let scaled = values.map(|value| self.scaled(value));
        let (low, high) =
            scaled.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
        match self {
            Self::Linear => (0.0, if high > 0.0 { high } else { 1.0 }),
            Self::Log if low.is_finite() => (low.floor(), high.ceil().max(low.floor() + 1.0)),
            Self::Log => (0.0, 1.0),
            Self::Named(names) => (0.0, names.iter().fold(1.0, |high: f64, (at, _)| high.max(*at))),
        }
    }

    /// Where there are lines, and what stands at them.
    fn ticks(&self, range: (f64, f64)) -> Vec<(f64, String)> {
        match self {
            Self::Named(names) => names.clone(),
            Self::Log => {
                let decades = |at: f64| (at <= range.1).then_some((at, number(10_f64.powf(at))));
                (0..).map_while(|nth| decades(range.0 + f64::from(nth))).collect()
            }
            Self::Linear => {
                let rough = (range.1 / TICKS).max(f64::MIN_POSITIVE);
                let decade = 10_f64.powf(rough.log10().floor());
                let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
                let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(rough);
                let tick = |at: f64| (at <= range.1).then(|| (at, number(at)));
                (0..).map_while(|nth| tick(f64::from(nth) * step)).collect()
            }
        }
    }
}

fn number(value: f64) -> String {
    if value >= 1e6 {
        format!("{}M", value / 1e6)
    } else if value >= 1e3 {
        format!("{}k", value / 1e3)
    } else {
        format!("{value}")
    }
}

impl Chart {
    pub(super) fn draw(&self, lines: &[Line]) -> String {
        let points = || lines.iter().flat_map(|line| line.points.iter());
        let (across, up) = (self.x.range(points().map(|at| at.0)), self.y.range(points().map(|at| at.1)));
        let x = |value: f64| LEFT + (value - across.0) / (across.1 - across.0) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - (value - up.0) / (up.1 - up.0) * (HEIGHT - TOP - BOTTOM);
        let mut svg =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title>", self.title);
        let _ = write!(svg, "<text x=\"{LEFT}\" y=\"14\">{}</text>", self.title);
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (at, name) in self.x.ticks(across) {
            let (at, below) = (x(at), bottom + 16.0);
            let _ = write!(
                svg,
                "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#eee\"/><text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{name}</text>"
            );
        }
        for (at, name) in self.y.ticks(up) {
            let (at, before) = (y(at), LEFT - 6.0);
            let _ = write!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{before}\" y=\"{at:.1}\" text-anchor=\"end\">{name}</text>"
            );
        }
        for (nth, line) in lines.iter().enumerate() {
            let colour = COLOURS[nth % COLOURS.len()];
            let place = |(across, up): &(f64, f64)| {
                format!("{:.1},{:.1}", x(self.x.scaled(*across)), y(self.y.scaled(*up)))
            };
            let places: Vec<String> = line.points.iter().map(place).collect();
            let (label_x, label_y) = (right + 10.0, TOP + 16.0 * f64::from(u32::try_from(nth).unwrap_or(0)));
            let _ = write!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/><text x=\"{label_x}\" y=\"{label_y}\" style=\"fill:{colour}\">{}</text>",
                places.join(" "),
                line.label
            );
        }
        svg + "</svg>"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_points_are_within_the_frame() {
        let line = Line { label: "a".into(), points: vec![(0.0, 3.0), (5.0, 70_000.0)] };
        for y in [Axis::Linear, Axis::Log] {
            let svg = Chart { title: "t", x: Axis::Linear, y }.draw(&[line_of(&line)]);
            let (_, places) = svg.split_once("points=\"").unwrap();
            for place in places.split_once('"').unwrap().0.split(' ') {
                let (x, y) = place.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!(
                    (LEFT..=WIDTH - RIGHT).contains(&x) && (TOP..=HEIGHT - BOTTOM).contains(&y),
                    "{place}"
                );
            }
        }
    }

    fn line_of(line: &Line) -> Line {
        Line { label: line.label.clone(), points: line.points.clone() }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(Chart { title: "t", x: Axis::Linear, y: Axis::Log }.draw(&[]).ends_with("</svg>"));
    }

    #[test]
    fn ticks_are_round() {
        let names =
            |axis: Axis, range| axis.ticks(range).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names(Axis::Log, (1.0, 4.0)), ["10", "100", "1k", "10k"]);
        assert_eq!(names(Axis::Linear, (0.0, 9.0)), ["0", "2", "4", "6", "8"]);
    }
}
