//! Lines into the daemon's log.

pub use crate::bindings::shared::nova::strategy::host_log::Level;

/// Writes a line into the daemon's log, under the plugin's name and the request's id;
/// natively to standard error, from `info` up.
///
/// The host drops and counts what exceeds the plugin's log bytes per call.
pub fn log(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::shared::nova::strategy::host_log::log(level, message);
    #[cfg(not(target_family = "wasm"))]
    if level >= Level::Info {
        eprintln!("{level:?}: {message}");
    }
}
