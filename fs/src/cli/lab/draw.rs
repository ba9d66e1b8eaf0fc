//! Drawing charts as SVG: axes, curves, legends; no more than `figures` needs.

use std::fmt::Write as _;

/// A place in a picture, in its own units: x to the right, y down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// How values lie along an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    is_logarithmic: bool,
}

impl Scale {
    /// Equal distances for equal differences.
    pub fn linear(low: f64, high: f64) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 }, is_logarithmic: false }
    }

    /// Equal distances for equal ratios; both ends above 0.
    pub fn logarithmic(low: f64, high: f64) -> Self {
        Self { low, high, is_logarithmic: true }
    }

    /// Where a value lies, from 0 to 1; what is beyond an end lies on it.
    fn position(&self, value: f64) -> f64 {
        let map = |value: f64| if self.is_logarithmic { value.max(1e-300).log10() } else { value };
        let (low, high) = (map(self.low), map(self.high));
        ((map(value) - low) / (high - low)).clamp(0.0, 1.0)
    }
}

/// A mark on an axis.
pub struct Tick {
    pub value: f64,
    pub label: String,
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Pen {
    pub colour: &'static str,
    pub width: f64,
    pub is_dashed: bool,
}

/// A picture that is being drawn.
pub struct Picture {
    width: f64,
    height: f64,
    body: String,
}

impl Picture {
    /// An empty one.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    /// The whole as SVG. It brings its own background, so that it can be read on a dark page too.
    pub fn svg(&self) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{body}</svg>\n"
        )
    }

    /// Writes text; `anchor` is start, middle or end, `style` more attributes.
    pub fn text(&mut self, x: f64, y: f64, anchor: &str, style: &str, text: &str) {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {style}>{escaped}</text>"
        );
    }

    /// Draws a line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), pen: Pen) {
        self.path(&[from, to], pen);
    }

    /// Draws a curve through points of the picture.
    fn path(&mut self, points: &[(f64, f64)], pen: Pen) {
        let list: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let dashes = if pen.is_dashed { " stroke-dasharray=\"5 3\"" } else { "" };
        let _ = writeln!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" \
             stroke-linejoin=\"round\"{dashes}/>",
            list.join(" "),
            pen.colour,
            pen.width
        );
    }
}

/// Axes in an area of a picture.
pub struct Chart {
    area: Area,
    across: Scale,
    up: Scale,
}

const GRID: Pen = Pen { colour: "#e4e4e4", width: 1.0, is_dashed: false };
const FRAME: Pen = Pen { colour: "#888", width: 1.0, is_dashed: false };
const SMALL: &str = "font-size=\"10\" fill=\"#555\"";

impl Chart {
    /// Axes with a grid. Labels of the upward axis stand at the left only if `is_labelled`.
    pub fn new(picture: &mut Picture, area: Area, across: Scale, up: Scale) -> Self {
        let Area { x, y, width, height } = area;
        let corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)];
        picture.path(&corners, FRAME);
        Self { area, across, up }
    }

    /// Marks the axis from left to right; labels stand below.
    pub fn mark_across(&self, picture: &mut Picture, ticks: &[Tick], is_labelled: bool) {
        let bottom = self.area.y + self.area.height;
        for tick in ticks {
            let x = self.point(tick.value, 0.0).0;
            picture.line((x, self.area.y), (x, bottom), GRID);
            if is_labelled {
                picture.text(x, bottom + 14.0, "middle", SMALL, &tick.label);
            }
        }
    }

    /// Marks the axis upwards; labels stand at the left.
    pub fn mark_up(&self, picture: &mut Picture, ticks: &[Tick], is_labelled: bool) {
        for tick in ticks {
            let y = self.point(0.0, tick.value).1;
            picture.line((self.area.x, y), (self.area.x + self.area.width, y), GRID);
            if is_labelled {
                picture.text(self.area.x - 5.0, y + 3.5, "end", SMALL, &tick.label);
            }
        }
    }

    /// Draws a curve.
    pub fn curve(&self, picture: &mut Picture, points: &[(f64, f64)], pen: Pen) {
        let points: Vec<(f64, f64)> =
            points.iter().map(|(across, up)| self.point(*across, *up)).collect();
        picture.path(&points, pen);
    }

    fn point(&self, across: f64, up: f64) -> (f64, f64) {
        let Area { x, y, width, height } = self.area;
        (x + width * self.across.position(across), y + height * (1.0 - self.up.position(up)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_put_values_in_their_place() {
        let linear = Scale::linear(10.0, 20.0);
        assert_eq!([5.0, 10.0, 15.0, 30.0].map(|v| linear.position(v)), [0.0, 0.0, 0.5, 1.0]);
        let logarithmic = Scale::logarithmic(1.0, 10_000.0);
        assert_eq!([1.0, 100.0, 10_000.0].map(|v| logarithmic.position(v)), [0.0, 0.5, 1.0]);
        assert_eq!(logarithmic.position(0.0), 0.0);
        assert_eq!(Scale::linear(0.0, 0.0).position(0.0), 0.0);
    }

    #[test]
    fn pictures_are_well_formed() {
        let mut picture = Picture::new(100.0, 50.0);
        let area = Area { x: 10.0, y: 10.0, width: 80.0, height: 30.0 };
        let chart =
            Chart::new(&mut picture, area, Scale::linear(0.0, 1.0), Scale::linear(0.0, 1.0));
        let pen = Pen { colour: "#123", width: 2.0, is_dashed: true };
        chart.curve(&mut picture, &[(0.0, 0.0), (1.0, 1.0)], pen);
        picture.text(1.0, 2.0, "start", "", "a < b & c");
        let svg = picture.svg();
        assert!(svg.contains("points=\"10.0,40.0 90.0,10.0\""), "{svg}");
        assert!(svg.contains("a &lt; b &amp; c"));
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }
}
