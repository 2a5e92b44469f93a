//! `run`: the engine in the foreground.

use clap::Args;
use serde_json::json;

use crate::app::App;
use crate::failure::Result;
use crate::interrupt::Interrupt;

/// Run the engine until Ctrl-C.
#[derive(Args, Debug)]
pub(crate) struct Run {}

impl Run {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let mut interrupt = Interrupt::listen()?;
        let handle = app.engine().start();
        app.output.progress("the engine runs; Ctrl-C stops it");
        let cancellation = handle.cancellation().clone();
        let mut ended = Box::pin(handle.wait());
        tokio::select! {
            outcome = &mut ended => outcome?,
            () = interrupt.wanted() => {
                app.output.progress("stopping: cycles under way end at a safe point");
                cancellation.cancel();
                ended.await?;
            }
        }
        app.output.json(&json!({ "run": { "stopped": true } }));
        Ok(())
    }
}
