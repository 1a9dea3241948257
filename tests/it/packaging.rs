//! What the program is installed by: the Debian package, its units, its scripts and its configuration, and the container.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sendpromptly_tests::binary::binary;
use sendpromptly_tests::store::{StoreKind, TestStore};

/// Each unit, and the greatest exposure that `systemd-analyze security` may find in it, times ten.
const UNITS: [(&str, Option<u32>); 3] = [
    ("sendpromptly.service", Some(18)),
    ("sendpromptly-backup.service", Some(35)),
    ("sendpromptly-backup.timer", None),
];

/// What the configuration names, and what stands in its place in the tests.
const PROGRAMS: [&str; 2] = ["/usr/bin/sendpromptly", "/usr/lib/sendpromptly/nightly-backup"];

fn folder() -> PathBuf {
    root().join("sendpromptly-server/packaging")
}

fn debian(file: &str) -> String {
    fs::read_to_string(folder().join("debian").join(file)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A program without the tests' own variables.
fn program(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_remove("SENDPROMPTLY_BIN").current_dir(directory);
    command
}

/// Runs a program that must succeed; gives what it said.
fn run(name: &str, arguments: &[&str], directory: &Path) -> String {
    let output = program(name, directory).args(arguments).output();
    succeeded(name, &output.unwrap_or_else(|error| panic!("{name}: {error}")))
}

fn succeeded(name: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    said.into_owned()
}

/// The names of what lies in a directory.
fn names_in(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    entries.map(name).collect()
}

#[test]
fn the_unit_lets_the_server_do_little_else_than_serve() {
    for (unit, most) in UNITS {
        let Some(most) = most else { continue };
        let path = folder().join("debian").join(unit);
        let threshold = format!("--threshold={most}");
        let analyse = ["security", "--offline=true", "--no-pager", &threshold];
        let analyse = [&analyse[..], &[path.to_str().unwrap()]].concat();
        run("systemd-analyze", &analyse, root());
    }
}

#[test]
fn the_units_are_ones_that_systemd_understands() {
    let directory = tempfile::tempdir().unwrap();
    let mut verify = vec![
        "verify".to_owned(),
        "--man=no".to_owned(),
        "--recursive-errors=no".to_owned(),
    ];
    for (unit, _) in UNITS {
        let mut text = debian(unit);
        for program in PROGRAMS {
            text = text.replace(program, binary().to_str().unwrap());
        }
        let path = directory.path().join(unit);
        fs::write(&path, text).unwrap();
        verify.push(path.to_str().unwrap().to_owned());
    }
    let verify: Vec<&str> = verify.iter().map(String::as_str).collect();
    let said = run("systemd-analyze", &verify, root());
    assert!(!said.contains("sendpromptly"), "{said}");
}

/// `kill` is a program of `procps`, which a small system lacks; a shell brings its own.
#[test]
fn the_server_is_told_to_read_its_keys_again_by_what_every_system_has() {
    let unit = debian("sendpromptly.service");
    let reload = unit.lines().find_map(|line| line.strip_prefix("ExecReload="));
    assert_eq!(reload, Some(r#"/bin/sh -c "kill -HUP $MAINPID""#));
}

/// A name that does not resolve yet, a database that fails over, a key service that is not up: over in a minute.
#[test]
fn systemd_starts_the_server_again_for_as_long_as_it_takes_unless_its_configuration_is_wrong() {
    let unit = debian("sendpromptly.service");
    let (before, service) = unit.split_once("[Service]").unwrap();
    assert!(before.contains("\nStartLimitIntervalSec=0\n"));
    for line in ["Restart=always", "RestartSec=2", "RestartPreventExitStatus=2"] {
        assert!(service.lines().any(|found| found == line), "{line}");
    }
}

/// The configuration as it is installed, in a directory of its own; what is commented out is used where it holds one of
/// these words.
fn configured(store: &TestStore, used: &[&str]) -> PathBuf {
    let directory = store.directory().join("etc");
    let state = store.directory().join("lib");
    fs::create_dir_all(&directory).unwrap();
    fs::create_dir_all(state.join("sendpromptly-keys")).unwrap();
    let in_use = |line: &str| {
        let option = line.strip_prefix('#').filter(|line| line.contains(" = \""));
        option
            .filter(|option| used.iter().any(|word| option.contains(word)))
            .unwrap_or(line)
            .to_owned()
            + "\n"
    };
    let text: String = debian("sendpromptly.toml").lines().map(in_use).collect();
    let text = text.replace("/var/lib", state.to_str().unwrap()).replace(
        "postgres://sendpromptly:PASSWORD@db.internal/sendpromptly",
        store.url(),
    );
    fs::write(directory.join("sendpromptly.toml"), text).unwrap();
    directory
}

#[tokio::test]
async fn the_configuration_that_is_installed_can_be_used() {
    let store = TestStore::new(StoreKind::Sqlite).await;
    for used in [&[][..], &["public-url", "proxy", "smtp", "mail", "listen"]] {
        let directory = configured(&store, used);
        run(binary().to_str().unwrap(), &["migrate"], &directory);
    }
    let keys = store.directory().join("lib/sendpromptly-keys");
    let data = store.directory().join("lib/sendpromptly");
    run(binary().to_str().unwrap(), &["doctor"], &configured(&store, &[]));
    // As the configuration and `doctor` advise.
    for key in ["master.key", "audit.key", "audit.checkpoints"] {
        fs::rename(data.join(key), keys.join(key)).unwrap();
    }
    let said = run(
        binary().to_str().unwrap(),
        &["doctor"],
        &configured(&store, &["sendpromptly-keys"]),
    );
    assert!(!said.to_lowercase().contains("move it"), "{said}");
}

/// Commands by hand, and the timer, must not find another store than the server.
#[tokio::test]
async fn the_database_that_the_installed_configuration_names_is_every_commands() {
    let store = TestStore::new(StoreKind::Postgres).await;
    let directory = configured(&store, &["database-url"]);
    run(binary().to_str().unwrap(), &["migrate"], &directory);
    assert_eq!(store.sql().await.rows("organizations").await, 0);
    let file = store.directory().join("lib/sendpromptly/sendpromptly.db");
    assert!(!file.exists(), "a store of its own");
}

#[test]
fn the_package_brings_the_program_its_unit_and_its_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("sendpromptly.deb");
    let target = binary().parent().unwrap().parent().unwrap().to_owned();
    // The program is built already, for the other tests.
    let made = Command::new(env!("CARGO"))
        .args([
            "deb",
            "--package",
            "sendpromptly-server",
            "--no-build",
            "--no-strip",
            "--profile",
            "dev",
        ])
        .args(["--fast", "--output", package.to_str().unwrap()])
        .env("CARGO_TARGET_DIR", target)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let package = package.to_str().unwrap();
    let unpacked = directory.path().join("root");
    run(
        "dpkg-deb",
        &["--raw-extract", package, unpacked.to_str().unwrap()],
        root(),
    );
    for file in [
        "usr/bin/sendpromptly",
        "usr/lib/sendpromptly/nightly-backup",
        "etc/sendpromptly/sendpromptly.toml",
        "DEBIAN/postinst",
        "DEBIAN/postrm",
    ] {
        assert!(unpacked.join(file).exists(), "{file} is missing");
    }
    let docs = unpacked.join("usr/share/doc/sendpromptly/docs");
    for folder in ["", "operations"] {
        let mut here = names_in(&root().join("docs").join(folder));
        here.retain(|name| name.contains('.'));
        let there = names_in(&docs.join(folder));
        assert!(here.is_subset(&there), "{here:?} {there:?}");
    }
    let libs = ["lib", "usr/lib"].map(|lib| unpacked.join(lib).join("systemd/system"));
    for (unit, _) in UNITS {
        assert!(
            libs.iter().any(|lib| lib.join(unit).exists()),
            "{unit} is missing"
        );
    }
    let conffiles = fs::read_to_string(unpacked.join("DEBIAN/conffiles")).unwrap();
    assert_eq!(conffiles.trim(), "/etc/sendpromptly/sendpromptly.toml");
    for script in ["postinst", "postrm", "prerm"] {
        let script = unpacked.join("DEBIAN").join(script);
        run("sh", &["-n", script.to_str().unwrap()], root());
    }
    // It starts when it is told to, and only an upgrade starts it again; backups begin when they are asked for.
    let postinst = fs::read_to_string(unpacked.join("DEBIAN/postinst")).unwrap();
    assert!(postinst.contains("deb-systemd-helper enable sendpromptly.service"));
    assert!(postinst.contains("try-restart sendpromptly.service") && !postinst.contains("invoke start"));
    assert!(postinst.contains("debian-installed sendpromptly-backup.timer"));
    let version = run(
        unpacked.join("usr/bin/sendpromptly").to_str().unwrap(),
        &["--version"],
        root(),
    );
    assert!(version.starts_with("sendpromptly "), "{version}");
}

/// Runs `postinst configure` on a machine of this root, whose user is there.
fn configure(machine: &Path) -> String {
    let tools = machine.join("tools");
    fs::create_dir_all(&tools).unwrap();
    for (tool, does) in [
        ("getent", "exit 0"),
        ("chown", "echo \"$@\" >> \"$DPKG_ROOT/owners\""),
    ] {
        let path = tools.join(tool);
        fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let output = program("sh", machine)
        .arg(folder().join("debian/postinst"))
        .args(["configure", "0.1.0-1"])
        .env("PATH", path)
        .env("DPKG_ROOT", machine)
        .output();
    succeeded("postinst", &output.unwrap());
    fs::read_to_string(machine.join("owners")).unwrap()
}

#[test]
fn the_package_is_configured_also_where_its_configuration_was_removed() {
    let machine = tempfile::tempdir().unwrap();
    let machine = machine.path();
    for directory in ["var/lib", "etc/sendpromptly"] {
        fs::create_dir_all(machine.join(directory)).unwrap();
    }
    let owners = configure(machine);
    assert!(
        owners.contains("sendpromptly:sendpromptly") && !owners.contains(".toml"),
        "{owners}"
    );
    let mode = |file: &str| fs::metadata(machine.join(file)).unwrap().permissions().mode() & 0o777;
    for own in ["var/lib/sendpromptly", "var/lib/sendpromptly-keys"] {
        assert_eq!(mode(own), 0o700, "{own}");
    }
    assert_eq!(mode("etc/sendpromptly"), 0o750);

    let file = "etc/sendpromptly/sendpromptly.toml";
    fs::write(machine.join(file), "").unwrap();
    let owners = configure(machine);
    assert!(
        owners
            .lines()
            .any(|line| line.starts_with("root:sendpromptly") && line.ends_with(file))
    );
    assert_eq!(mode(file), 0o640);

    fs::remove_dir_all(machine.join("etc/sendpromptly")).unwrap();
    configure(machine);
}

#[tokio::test]
async fn each_night_has_a_backup_of_its_own_and_its_keys_lie_apart_and_not_for_long() {
    let store = TestStore::new(StoreKind::Sqlite).await;
    let directory = configured(&store, &[]);
    run(binary().to_str().unwrap(), &["migrate"], &directory);
    let (backups, keys) = (store.directory().join("backups"), store.directory().join("keys"));
    for place in [&backups, &keys] {
        fs::create_dir(place).unwrap();
    }
    let made_ago = |file: PathBuf, ago: &str| {
        fs::write(&file, "").unwrap();
        run(
            "touch",
            &[&format!("--date={ago} ago"), file.to_str().unwrap()],
            root(),
        );
    };
    let of_long_ago = |file: PathBuf| made_ago(file, "29 days");
    let nightly = |path: &str| {
        program("sh", &directory)
            .arg(folder().join("debian/nightly-backup"))
            .args([&backups, &keys])
            .env("PATH", path)
            .output()
            .unwrap()
    };
    let path = std::env::var("PATH").unwrap();
    let with_program = format!("{}:{path}", binary().parent().unwrap().display());

    of_long_ago(backups.join("old.backup"));
    of_long_ago(keys.join("old.backup.keys"));
    // A night that was killed left these, under a name that no other night has.
    for end in [".part", ".keys.part", ".copy", ".copy-journal"] {
        made_ago(backups.join(format!("killed.backup{end}")), "25 hours");
    }
    // These are whole, though they could not be moved, or are being made by hand.
    made_ago(backups.join("left.backup.keys"), "25 hours");
    fs::write(backups.join("now.backup.part"), "").unwrap();
    let tools = store.directory().join("tools");
    fs::create_dir(&tools).unwrap();
    std::os::unix::fs::symlink("/bin/false", tools.join("sendpromptly")).unwrap();
    let failed = nightly(&format!("{}:{path}", tools.display()));
    assert!(!failed.status.success(), "what goes wrong is told to systemd");
    assert!(names_in(&keys).is_empty(), "what was forgotten stays forgotten");
    assert_eq!(
        names_in(&backups),
        ["left.backup.keys", "now.backup.part", "old.backup"]
            .map(str::to_owned)
            .into(),
        "what is unfinished goes, and no backup for nothing"
    );
    for other in ["left.backup.keys", "now.backup.part"] {
        fs::remove_file(backups.join(other)).unwrap();
    }

    succeeded("nightly-backup", &nightly(&with_program));
    let made = names_in(&backups);
    assert!(made.len() == 1 && !made.contains("old.backup"), "{made:?}");
    let made = made.first().unwrap();
    assert_eq!(names_in(&keys), BTreeSet::from([format!("{made}.keys")]));
    let backup = backups.join(made);
    fs::rename(&backup, backups.join("yesterday.backup")).unwrap();
    succeeded("nightly-backup", &nightly(&with_program));
    assert_eq!(names_in(&backups).len(), 2, "no night is in the way of the next");
}

/// What the container is built from, by `.dockerignore`.
fn sent_to_the_builder() -> Vec<String> {
    let text = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*", "nothing goes along that is not named");
    for never in ["**/target", "**/sendpromptly-data"] {
        assert!(lines.contains(&never), "{never}");
    }
    let named = lines.iter().filter_map(|line| line.strip_prefix('!'));
    named.map(str::to_owned).collect()
}

#[test]
fn the_container_is_built_from_the_workspace_and_nothing_else_and_holds_no_secret() {
    let text = fs::read_to_string(folder().join("Containerfile")).unwrap();
    assert!(text.contains("--package sendpromptly-server") && text.contains("USER 10001"));
    let secret = ["SENDPROMPTLY_DATABASE_URL", "SENDPROMPTLY_SMTP_URL", "_KEY="];
    assert!(
        secret.iter().all(|word| !text.contains(word)),
        "an image holds no secret"
    );
    // Cargo finds the workspace whole in what goes along.
    let copy = tempfile::tempdir().unwrap();
    for name in sent_to_the_builder() {
        let to = copy.path().join(&name);
        std::os::unix::fs::symlink(root().join(&name), to).unwrap();
    }
    let metadata = [
        "metadata",
        "--locked",
        "--offline",
        "--no-deps",
        "--format-version=1",
    ];
    let told = run(env!("CARGO"), &metadata, copy.path());
    assert!(told.contains("\"sendpromptly-server\""), "{told}");
    // And nothing of the program's source lies outside of it.
    let source = root().join("sendpromptly-server/src");
    let outside = run("grep", &["-rlF", "../../../", source.to_str().unwrap()], root());
    assert_eq!(
        outside.trim(),
        source.join("config/tests.rs").display().to_string()
    );
}
