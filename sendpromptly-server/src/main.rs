//! The `sendpromptly` program.

fn main() -> std::process::ExitCode {
    sendpromptly_server::cli::run(std::env::args_os())
}
