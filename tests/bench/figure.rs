//! One measured figure beside its reference, the table, and `target/bench.json`. Touches disk.

use std::path::Path;

use serde::Serialize;

/// A measurement. Machines differ and are noisy, so what counts is the ratio to a reference from the same run, or
/// the goal where a figure is a size.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// Such as `credentials_50_devices`.
    pub(crate) name: &'static str,
    /// What was measured.
    pub(crate) value: f64,
    /// Of value and reference: `s`, `MB`.
    pub(crate) unit: &'static str,
    /// The floor's or peer's value in the same run.
    pub(crate) reference: Option<f64>,
    /// value / reference.
    pub(crate) ratio: Option<f64>,
    /// The largest value, or where there is a reference the largest ratio, that is good enough.
    pub(crate) goal: f64,
    /// Whether it is.
    pub(crate) met: bool,
}

impl Figure {
    /// A size with a goal of its own.
    pub(crate) fn size(name: &'static str, value: f64, unit: &'static str, goal: f64) -> Self {
        Self { name, value, unit, reference: None, ratio: None, goal, met: value <= goal }
    }

    /// A time beside its floor in the same run; the goal is a ratio.
    pub(crate) fn beside(
        name: &'static str,
        value: f64,
        unit: &'static str,
        reference: f64,
        goal: f64,
    ) -> Self {
        let ratio = value / reference;
        Self { name, value, unit, reference: Some(reference), ratio: Some(ratio), goal, met: ratio <= goal }
    }
}

/// Prints the table and writes the list.
pub(crate) fn report(figures: &[Figure], file: &Path) -> std::io::Result<()> {
    let optional = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.2}"));
    println!(
        "\n{:<28} {:>10} {:<4} {:>10} {:>7} {:>8}  met",
        "figure", "value", "unit", "reference", "ratio", "goal"
    );
    for f in figures {
        let (reference, ratio) = (optional(f.reference), optional(f.ratio));
        let goal = if f.ratio.is_some() { format!("≤{}×", f.goal) } else { format!("≤{}", f.goal) };
        let met = if f.met { "yes" } else { "no" };
        println!(
            "{:<28} {:>10.2} {:<4} {:>10} {:>7} {:>8}  {met}",
            f.name, f.value, f.unit, reference, ratio, goal
        );
    }
    std::fs::write(file, serde_json::to_string_pretty(figures)? + "\n")?;
    println!("\nwritten to {}", file.display());
    Ok(())
}
