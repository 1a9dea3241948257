//! Medians, ratios, and the table that goes into `docs/benchmarks.md`.

/// One line of the table.
#[derive(Debug)]
struct Line {
    what: String,
    measured: String,
    least: &'static str,
    aim: &'static str,
}

/// What was measured, in order.
#[derive(Debug)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

impl Report {
    pub(crate) const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// Adds a line; it is printed at once as well, for a run takes minutes.
    pub(crate) fn add(&mut self, what: &str, measured: String, least: &'static str, aim: &'static str) {
        println!("{what}: {measured} (least {least}, aim {aim})");
        self.lines.push(Line {
            what: what.to_owned(),
            measured,
            least,
            aim,
        });
    }

    /// Prints the whole as a table of Markdown, with the machine.
    pub(crate) fn print(&self) {
        println!(
            "\n{}\n\n| work | measured | least | aim |\n| --- | --- | --- | --- |",
            machine()
        );
        for Line {
            what,
            measured,
            least,
            aim,
        } in &self.lines
        {
            println!("| {what} | {measured} | {least} | {aim} |");
        }
    }
}

/// The median of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A ratio with both of its sides, each in so many a second.
pub(crate) fn ratio(one: &[f64], other: &[f64]) -> String {
    let ratios = one.iter().zip(other).map(|(one, other)| one / other).collect();
    let (one, other) = (median(one.to_vec()), median(other.to_vec()));
    format!("**{:.2}x** ({one:.0}/s over {other:.0}/s)", median(ratios))
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores, {model}; load, server and database share them. Medians of {} rounds and more.",
        crate::ROUNDS
    )
}
