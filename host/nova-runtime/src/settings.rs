//! What can be set of a plugin: asks its component for the schema, and holds the settings to it.
//!
//! The export is optional, so it is looked up by name, outside the worlds' bindings. The answer is a
//! guest's: it comes from a fresh instance under the plugin's limits, and is bounded where it is read.

use std::sync::Arc;

use nova_core::strategy::settings::SettingsSchema;
use serde_json::{Map, Value};

use crate::component::{Refused, Stage};
use crate::error::Failure;
use crate::failure::Broken;
use crate::invoke::{Invoker, Unit, settle};

/// The interface; another version of its track will do.
const INTERFACE: &str = "nova:strategy/settings@0.1.0";

/// The schema that the component states; none where it states none.
///
/// # Errors
/// At the step `probe` where it cannot be asked, at the step `settings` where its schema is none.
pub(crate) async fn schema(
    invoker: &Invoker,
    unit: &Unit,
) -> Result<Option<SettingsSchema>, Refused> {
    let stated = stated(invoker, unit)
        .await
        .map_err(|failure| Refused::new(Stage::Probe, format!("schema: {failure}")))?;
    let Some(text) = stated else {
        return Ok(None);
    };
    let parse = move || {
        SettingsSchema::parse(&text)
            .map_err(|reason| format!("the component's settings schema is refused: {reason}"))
    };
    apart(parse).await.map(Some)
}

/// Whether settings keep the schema.
///
/// # Errors
/// What breaks it, with path and rule.
pub(crate) async fn check(
    schema: &SettingsSchema,
    settings: &Map<String, Value>,
) -> Result<(), Refused> {
    let (schema, settings) = (schema.clone(), settings.clone());
    apart(move || schema.check(&settings)).await
}

/// On a blocking thread: hostile schemas take their time, within bounds.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Refused> {
    let refuse = |reason| Refused::new(Stage::Settings, reason);
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(refuse),
        Err(error) => Err(refuse(format!("the check broke off: {error}"))),
    }
}

/// What the component says of its settings.
async fn stated(invoker: &Invoker, unit: &Unit) -> Result<Option<String>, Failure> {
    let pre = unit.guest.instance_pre();
    let component = pre.component();
    let Some(interface) = component.get_export_index(None, INTERFACE) else {
        return Ok(None);
    };
    let Some(function) = component.get_export_index(Some(&interface), "schema") else {
        return Ok(None);
    };
    let mut store = invoker.store(unit, 0);
    let meter = Arc::clone(&store.data().meter);
    let call = async {
        let instance = pre
            .instantiate_async(&mut store)
            .await
            .map_err(Broken::Instantiating)?;
        let schema = instance
            .get_typed_func::<(), (String,)>(&mut store, function)
            .map_err(Broken::Instantiating)?;
        let (text,) = schema
            .call_async(&mut store, ())
            .await
            .map_err(Broken::Calling)?;
        Ok(text)
    };
    let outcome = invoker.timed(&meter, &unit.limits, call).await;
    settle(&store, &unit.limits, outcome).map(Some)
}
