//! The emulator's process: arguments, logs, then one of its commands. A failure ends it with a message and code 1.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use lanyard_emulator::arguments::{Arguments, Command, LogFormat};
use lanyard_emulator::{control, print, serve};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(&arguments);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("failed to start: {error}")),
    };
    let done = runtime.block_on(run(arguments.command));
    // Requests that are still being served do not hold the process up.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

async fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Serve(arguments) => {
            let stop = CancellationToken::new();
            stop_on_signals(&stop)?;
            serve::run(arguments, stop).await.map_err(|error| chain(&error))
        }
        Command::Events(arguments) => {
            let shown =
                print::run(&arguments, &mut std::io::stdout()).await.map_err(|error| chain(&error))?;
            if shown == 0 && !arguments.follow {
                print_error(&print::nothing(&arguments));
            }
            Ok(())
        }
        Command::Control(arguments) => {
            let done = control::run(&arguments, &mut std::io::stdin(), &mut std::io::stdout()).await;
            done.map_err(|error| chain(&error))
        }
    }
}

fn stop_on_signals(stop: &CancellationToken) -> Result<(), String> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let mut signal = signal(kind).map_err(|error| format!("failed to listen for signals: {error}"))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signal.recv().await;
            stop.cancel();
        });
    }
    Ok(())
}

fn log(arguments: &Arguments) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match arguments.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(arguments.log_level.clone()).with(lines).init();
}

/// Formats an error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn fail(message: &str) -> ExitCode {
    print_error(message);
    ExitCode::FAILURE
}

#[expect(clippy::print_stderr, reason = "the last words of the process are not a log line")]
fn print_error(message: &str) {
    eprintln!("lanyard-emulator: {message}");
}
