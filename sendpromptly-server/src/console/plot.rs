//! Plots: from figures to SVG, made on the server.
//!
//! A plot is drawn at the width of a small phone, so that its text stays legible there; on a wide screen several
//! stand side by side. It bears a title and a description for those who cannot see it. Colours come from the style
//! sheet, by class: no attribute that the content policy would refuse.

use std::fmt::Write as _;
use std::time::Duration;

pub mod scale;
#[cfg(test)]
mod tests;

use super::when::words;
use scale::{Count, Time};

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 6.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 24.0;

/// What stands around the figures.
#[derive(Debug, Clone)]
pub struct Plot<'a> {
    /// Names the plot within its page.
    pub id: &'a str,
    /// What it shows, in a few words.
    pub title: &'a str,
    /// What can be seen in it, in a sentence, for those who cannot.
    pub description: String,
    /// A slot's name each, for whoever points at it.
    pub slots: Vec<String>,
    /// The slots that have a label at the axis, and it.
    pub labels: Vec<(usize, String)>,
}

/// A row of bars, one a slot.
#[derive(Debug, Clone)]
pub struct Bars<'a> {
    /// Its class, by which the style sheet colours it.
    pub class: &'a str,
    /// What is counted, after the number.
    pub noun: &'a str,
    /// The counts.
    pub counts: Vec<u64>,
}

/// The spread of a slot's durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Half of them were not longer.
    pub median: Duration,
    /// Nine of ten were not longer.
    pub most: Duration,
}

impl Plot<'_> {
    /// Draws counts as bars. Several rows stand side by side in each slot.
    #[must_use]
    pub fn bars(&self, rows: &[Bars<'_>]) -> String {
        let most = rows.iter().flat_map(|row| &row.counts).max();
        let scale = Count::up_to(most.copied().unwrap_or(0));
        let mut svg = self.begin();
        for (value, label) in scale.ticks() {
            rule(&mut svg, height_at(scale.place(value)), &label);
        }
        let width = self.slot_width() * 0.8 / count_of(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let _ = write!(svg, "<g class=\"{}\">", Escaped(row.class));
            for (slot, count) in row.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let x = self.slot_at(slot) + self.slot_width() * 0.1 + width * count_of(index);
                let y = height_at(scale.place(*count));
                let height = (HEIGHT - BOTTOM - y).max(1.0);
                let y = HEIGHT - BOTTOM - height;
                let _ = write!(
                    svg,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\">"
                );
                self.name(&mut svg, slot, &format!("{count} {}", row.noun));
                svg.push_str("</rect>");
            }
            svg.push_str("</g>");
        }
        self.end(svg)
    }

    /// Draws durations, each slot's from the median, a dot, up to what nine of ten did not exceed. The scale is
    /// logarithmic: seconds and days both can be read.
    #[must_use]
    pub fn ranges(&self, class: &str, ranges: &[Option<Range>]) -> String {
        let seen = || ranges.iter().flatten();
        let shortest = seen().map(|range| range.median).min();
        let longest = seen().map(|range| range.most).max();
        let scale = Time::between(shortest.unwrap_or_default(), longest.unwrap_or_default());
        let mut svg = self.begin();
        for (duration, label) in scale.ticks() {
            rule(&mut svg, height_at(scale.place(duration)), label);
        }
        let _ = write!(svg, "<g class=\"{}\">", Escaped(class));
        for (slot, range) in ranges.iter().enumerate() {
            let Some(range) = range else { continue };
            let x = self.slot_at(slot) + self.slot_width() / 2.0;
            let median = height_at(scale.place(range.median));
            let most = height_at(scale.place(range.most));
            let arm = (self.slot_width() * 0.3).min(4.0);
            let (left, right) = (x - arm, x + arm);
            svg.push_str("<g>");
            self.name(
                &mut svg,
                slot,
                &format!(
                    "median {}, nine of ten within {}",
                    words(range.median),
                    words(range.most)
                ),
            );
            let _ = write!(
                svg,
                "<path d=\"M{x:.1} {median:.1}V{most:.1}M{left:.1} {most:.1}H{right:.1}\"/>\
                 <circle cx=\"{x:.1}\" cy=\"{median:.1}\" r=\"{:.1}\"/></g>",
                arm.max(2.0)
            );
        }
        svg.push_str("</g>");
        self.end(svg)
    }

    fn begin(&self) -> String {
        let (id, title) = (Escaped(self.id), Escaped(self.title));
        let description = Escaped(&self.description);
        format!(
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-description\">\
             <title id=\"{id}-title\">{title}</title><desc id=\"{id}-description\">{description}</desc>"
        )
    }

    fn end(&self, mut svg: String) -> String {
        let y = HEIGHT - 7.0;
        svg.push_str("<g class=\"label\">");
        for (slot, label) in &self.labels {
            let x = self.slot_at(*slot) + self.slot_width() / 2.0;
            let anchor = anchor(x, label);
            let label = Escaped(label);
            let _ = write!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{label}</text>"
            );
        }
        svg.push_str("</g></svg>");
        svg
    }

    /// What is shown to whoever points at a part of the plot.
    fn name(&self, svg: &mut String, slot: usize, what: &str) {
        let name = self.slots.get(slot).map_or("", String::as_str);
        let _ = write!(svg, "<title>{}: {}</title>", Escaped(name), Escaped(what));
    }

    fn slot_width(&self) -> f64 {
        (WIDTH - LEFT - RIGHT) / count_of(self.slots.len().max(1))
    }

    fn slot_at(&self, slot: usize) -> f64 {
        LEFT + self.slot_width() * count_of(slot)
    }
}

/// A line across the plot with its label.
fn rule(svg: &mut String, y: f64, label: &str) {
    let (end, label_end, baseline) = (WIDTH - RIGHT, LEFT - 6.0, y + 4.0);
    let label = Escaped(label);
    let _ = write!(
        svg,
        "<g class=\"label\"><path d=\"M{LEFT} {y:.1}H{end}\"/>\
         <text x=\"{label_end}\" y=\"{baseline:.1}\" text-anchor=\"end\">{label}</text></g>"
    );
}

/// A label near an edge keeps within it.
fn anchor(x: f64, label: &str) -> &'static str {
    let half = count_of(label.chars().count()) * 3.5;
    match x {
        x if x + half > WIDTH => "end",
        x if x - half < 0.0 => "start",
        _ => "middle",
    }
}

/// Where a place between 0 and 1 lies in the plot.
fn height_at(place: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * place
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
const fn count_of(number: usize) -> f64 {
    number as f64
}

/// A text within SVG.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
