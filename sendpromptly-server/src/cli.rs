//! The command line: what can be asked of the program, and how it ends.
//!
//! Options may stand before or after the command. They are the same for every command and are listed in
//! [`options`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::command::{
    CommandError, alert, audit, backup, demo, doctor, event, incident, intake, key, master_key, openapi, org,
    project, restore, retention, secret, user,
};
use crate::config::options::{self, ConfigOption, Form};
use crate::config::{Config, ConfigError, Sources};
use crate::store::StoreRole;
use crate::{command, logging};

/// Finds paid events whose effect never happened, and has them repaired once.
#[derive(Debug, Parser)]
#[command(
    name = "sendpromptly",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
#[command(after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration.")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the API and its workers (also with no command)
    Serve,
    /// Show the main job: a paid event without its effect is found, repaired once, and proven
    Demo(demo::DemoCommand),
    /// Make, export and delete organizations
    #[command(subcommand)]
    Org(org::OrgCommand),
    /// Delete users
    #[command(subcommand)]
    User(user::UserCommand),
    /// Make and change projects
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Say whom a project's alerts go to, and try it
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    /// Rotate signing secrets
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Take events that providers send themselves
    #[command(subcommand)]
    Intake(intake::IntakeCommand),
    /// List incidents, and order what to do about them
    #[command(subcommand)]
    Incident(incident::IncidentCommand),
    /// Show events
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Export and verify the audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Drop what is kept for a time only
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// Copy the store into a file, while servers run on it
    Backup(backup::BackupCommand),
    /// Put a backup into an empty store, or declare that a store was restored by other means
    Restore(restore::RestoreCommand),
    /// Rotate the master key, and list, prepare and remove master keys
    #[command(subcommand)]
    MasterKey(master_key::MasterKeyCommand),
    /// Bring the store's tables up to date
    Migrate,
    /// Print the OpenAPI document
    Openapi,
    /// Check configuration, store, clock and keys, in words
    Doctor,
}

/// Runs the program with these arguments, the first its own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = command().try_get_matches_from(arguments);
    let parsed = parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(cli.command.unwrap_or(Command::Serve), &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

fn dispatch(command: Command, matches: &ArgMatches) -> Result<(), CommandError> {
    let config = || Config::read(&Sources::of_process(given(matches))?);
    match command {
        Command::Demo(command) => demo::run(&command, &given(matches)),
        Command::Serve => {
            let config = config()?;
            logging::start(&config.log, config.log.level);
            command::on_all_cores(command::serve::run(config))
        }
        Command::Openapi => openapi::run(),
        Command::Migrate => beside(config, async |config| command::migrate::run(config).await),
        Command::Org(command) => beside(config, async |config| {
            let role = command.store_role();
            with_context(config, role, async |context| org::run(context, command).await).await
        }),
        Command::User(command) => in_context(config, async |context| user::run(context, command).await),
        Command::Project(command) => in_context(config, async |context| project::run(context, command).await),
        Command::Key(command) => in_context(config, async |context| key::run(context, command).await),
        Command::Alert(command) => in_context(config, async |context| alert::run(context, command).await),
        Command::Intake(command) => in_context(config, async |context| intake::run(context, command).await),
        Command::Incident(command) => {
            in_context(config, async |context| incident::run(context, command).await)
        }
        Command::Event(command) => in_context(config, async |context| event::run(context, command).await),
        Command::Audit(command) => in_context(config, async |context| audit::run(context, command).await),
        Command::Retention(command) => {
            in_context(config, async |context| retention::run(context, command).await)
        }
        Command::Backup(command) => in_context(config, async |context| backup::run(context, &command).await),
        Command::Restore(command) => beside(config, async |config| restore::run(config, command).await),
        Command::MasterKey(master_key::MasterKeyCommand::Generate) => master_key::generate(),
        Command::MasterKey(command) => {
            in_context(config, async |context| master_key::run(context, command).await)
        }
        Command::Doctor => beside(config, async |config| doctor::run(&config).await),
        Command::Secret(command) => in_context(config, async |context| secret::run(context, command).await),
    }
}

/// Runs a command that may run beside a server. It logs only what went wrong.
fn beside(
    config: impl FnOnce() -> Result<Config, ConfigError>,
    run: impl AsyncFnOnce(Config) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let config = config()?;
    logging::start(&config.log, config.log.level.min(tracing::Level::WARN));
    command::on_one_core(run(config))
}

fn in_context(
    config: impl FnOnce() -> Result<Config, ConfigError>,
    run: impl AsyncFnOnce(&command::Context) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    beside(config, async |config| {
        with_context(config, StoreRole::Command, run).await
    })
}

async fn with_context(
    config: Config,
    role: StoreRole,
    run: impl AsyncFnOnce(&command::Context) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let context = command::Context::open(config, role).await?;
    let outcome = run(&context).await;
    context.close().await?;
    outcome
}

/// The command line as its library sees it.
fn command() -> clap::Command {
    Cli::command().args(options::ALL.iter().map(argument))
}

fn argument(option: &'static ConfigOption) -> Arg {
    let mut help = option.about.to_owned();
    if let Some(default) = option.default {
        help += &format!(" [default: {default}]");
    }
    help += &format!(" [env: {}]", option.variable());
    let argument = Arg::new(option.name)
        .long(option.name)
        .value_name(option.value)
        .help(help)
        .help_heading("Configuration")
        .global(true);
    match option.form {
        Form::One => argument.action(ArgAction::Set),
        Form::Flag => argument
            .action(ArgAction::Set)
            .num_args(0..=1)
            .default_missing_value("true"),
        Form::Many => argument.action(ArgAction::Append),
    }
}

/// The options that were given. Those of the innermost command are those of all.
fn given(matches: &ArgMatches) -> BTreeMap<&'static str, Vec<String>> {
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    let values = |option: &'static ConfigOption| {
        let values = innermost.get_many::<String>(option.name)?;
        Some((option.name, values.cloned().collect()))
    };
    options::ALL.iter().filter_map(values).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_by(arguments: &[&str]) -> BTreeMap<&'static str, Vec<String>> {
        let all = std::iter::once("sendpromptly").chain(arguments.iter().copied());
        given(&command().try_get_matches_from(all).unwrap())
    }

    fn code(arguments: &[&str]) -> i32 {
        let all = std::iter::once("sendpromptly").chain(arguments.iter().copied());
        command().try_get_matches_from(all).unwrap_err().exit_code()
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn an_option_counts_before_and_after_the_command() {
        let expected = BTreeMap::from([("listen", vec!["[::1]:0".to_owned()])]);
        assert_eq!(
            given_by(&[
                "--listen",
                "[::1]:0",
                "org",
                "create",
                "--name",
                "a",
                "--owner-email",
                "b"
            ]),
            expected
        );
        assert_eq!(given_by(&["serve", "--listen", "[::1]:0"]), expected);
        assert_eq!(given_by(&["--listen=[::1]:0"]), expected);
        assert!(given_by(&["openapi"]).is_empty());
    }

    #[test]
    fn a_boolean_option_alone_means_true() {
        for arguments in [
            &["serve", "--allow-private-callbacks"][..],
            &["--allow-private-callbacks", "true", "serve"],
            &["--allow-private-callbacks", "--log", "info"],
        ] {
            assert_eq!(
                given_by(arguments)["allow-private-callbacks"],
                ["true"],
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn help_and_version_end_well_and_wrong_usage_with_2() {
        for well in [
            &["--help"][..],
            &["--version"],
            &["org", "create", "--help"],
            &["-V"],
        ] {
            assert_eq!(code(well), 0, "{well:?}");
        }
        for wrong in [
            &["frob"][..],
            &["--frob"],
            &["org"],
            &["org", "create"],
            &["serve", "extra"],
            &["key", "revoke", "key_1"],
            &["project", "create", "--org", "prj_1", "--name", "a"],
            &["incident", "reopen", "inc_"],
            &["user", "delete"],
            &["user", "delete", "ada@example.com"],
            &["backup"],
            &["restore"],
            &["restore", "a.backup", "--declare"],
        ] {
            assert_eq!(code(wrong), 2, "{wrong:?}");
        }
    }

    #[test]
    fn every_option_is_in_the_help_with_its_variable() {
        let help = command().render_long_help().to_string();
        for option in options::ALL {
            assert!(help.contains(&format!("--{}", option.name)), "{}", option.name);
            assert!(
                help.contains(&format!("[env: {}]", option.variable())),
                "{}",
                option.name
            );
        }
    }
}
