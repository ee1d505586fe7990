//! Faults: set, shown and deleted while the emulator runs. They are not kept over a restart. In memory.

use serde_json::Value;

use super::body;
use super::change::ChangeError;
use super::fault_entry::{FaultEntry, fault, show};
use crate::config::problems::Problems;
use crate::state::EmulatorState;

/// Sets a fault, in place of an earlier one of this name.
///
/// # Errors
/// [`ChangeError::Wrong`].
pub fn put(state: &EmulatorState, name: &str, text: &str) -> Result<Value, ChangeError> {
    let entry: FaultEntry = body::read(text, "name", name)?;
    let hubs: Vec<_> = state.hubs.iter().map(|hub| hub.name.clone()).collect();
    let mut problems = Problems::default();
    let fault = fault(&entry, &hubs, &mut problems);
    let named = state.faults.put(name, body::checked(fault, &problems)?);
    tracing::info!(fault = name, effect = ?named.effect(), selector = ?named.fault().selector, "set a fault");
    Ok(show(&named))
}

/// Returns a fault as it is now.
///
/// # Errors
/// [`ChangeError::NotFound`].
pub fn get(state: &EmulatorState, name: &str) -> Result<Value, ChangeError> {
    state.faults.get(name).map(|named| show(&named)).ok_or_else(|| unknown(name))
}

/// Returns all faults, by name.
#[must_use]
pub fn list(state: &EmulatorState) -> Value {
    state.faults.all().iter().map(|named| show(named)).collect()
}

/// Deletes a fault.
///
/// # Errors
/// [`ChangeError::NotFound`].
pub fn delete(state: &EmulatorState, name: &str) -> Result<(), ChangeError> {
    if !state.faults.remove(name) {
        return Err(unknown(name));
    }
    tracing::info!(fault = name, "deleted a fault");
    Ok(())
}

/// Deletes all faults.
pub fn clear(state: &EmulatorState) {
    state.faults.clear();
    tracing::info!("deleted all faults");
}

fn unknown(name: &str) -> ChangeError {
    ChangeError::NotFound(format!("there is no fault {name:?}; GET /api/faults lists them"))
}
