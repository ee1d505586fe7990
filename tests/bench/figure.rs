//! One measured figure beside its reference, the table, and `target/bench.json`. Touches disk.

use std::path::Path;

use serde::Serialize;

/// A measurement. Machines differ and are noisy, so what counts is the ratio to a reference from the same run, or
/// the goal where a figure is a size.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// Such as `credentials_50_devices`.
    pub(crate) name: &'static str,
    /// Measured value.
    pub(crate) value: f64,
    /// Of value and reference: `s`, `MB`, `/s`.
    pub(crate) unit: &'static str,
    /// The floor's or peer's value in the same run.
    pub(crate) reference: Option<f64>,
    /// value / reference.
    pub(crate) ratio: Option<f64>,
    /// The value, or where there is a reference the ratio, that is good enough.
    pub(crate) goal: f64,
    /// True if the goal is met.
    pub(crate) met: bool,
    /// True if a larger value is better.
    #[serde(skip)]
    more: bool,
}

impl Figure {
    /// Creates a figure of a size with a goal of its own: less is better.
    pub(crate) fn size(name: &'static str, value: f64, unit: &'static str, goal: f64) -> Self {
        Self { name, value, unit, reference: None, ratio: None, goal, met: value <= goal, more: false }
    }

    /// Creates a figure of a rate with a goal of its own: more is better.
    pub(crate) fn at_least(name: &'static str, value: f64, unit: &'static str, goal: f64) -> Self {
        Self { name, value, unit, reference: None, ratio: None, goal, met: value >= goal, more: true }
    }

    /// Creates a figure of a time beside its floor in the same run; the goal is a ratio, and less is better.
    pub(crate) fn beside(
        name: &'static str,
        value: f64,
        unit: &'static str,
        reference: f64,
        goal: f64,
    ) -> Self {
        let ratio = value / reference;
        let (reference, met) = (Some(reference), ratio <= goal);
        Self { name, value, unit, reference, ratio: Some(ratio), goal, met, more: false }
    }

    /// Creates a figure of a rate beside another one in the same run; the goal is a ratio, and more is better.
    pub(crate) fn over(
        name: &'static str,
        value: f64,
        unit: &'static str,
        reference: f64,
        goal: f64,
    ) -> Self {
        let ratio = value / reference;
        let (reference, met) = (Some(reference), ratio >= goal);
        Self { name, value, unit, reference, ratio: Some(ratio), goal, met, more: true }
    }
}

/// Prints the table and writes the list.
pub(crate) fn report(figures: &[Figure], file: &Path) -> std::io::Result<()> {
    let optional = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.2}"));
    println!(
        "\n{:<32} {:>12} {:<4} {:>12} {:>7} {:>9}  met",
        "figure", "value", "unit", "reference", "ratio", "goal"
    );
    for f in figures {
        let (reference, ratio) = (optional(f.reference), optional(f.ratio));
        let (sign, times) = (if f.more { '≥' } else { '≤' }, if f.ratio.is_some() { "×" } else { "" });
        let goal = format!("{sign}{}{times}", f.goal);
        let met = if f.met { "yes" } else { "no" };
        println!(
            "{:<32} {:>12.2} {:<4} {:>12} {:>7} {:>9}  {met}",
            f.name, f.value, f.unit, reference, ratio, goal
        );
    }
    std::fs::write(file, serde_json::to_string_pretty(figures)? + "\n")?;
    println!("\nwritten to {}", file.display());
    Ok(())
}
