//! What the program is installed by: the Debian package, its unit and its configuration.

use std::path::{Path, PathBuf};
use std::process::Command;

use sendpromptly_tests::binary::binary;

/// The greatest exposure that `systemd-analyze security` may find, times ten.
const THRESHOLD: &str = "--threshold=25";

fn folder() -> PathBuf {
    root().join("sendpromptly-server/packaging")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Runs a program that must succeed; gives what it said.
fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env_remove("SENDPROMPTLY_BIN") // the tests' own
        .current_dir(directory)
        .output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said.into_owned()
}

#[test]
fn the_unit_lets_the_server_do_little_else_than_serve() {
    let unit = folder().join("debian/sendpromptly.service");
    let arguments = [
        "security",
        "--offline=true",
        "--no-pager",
        THRESHOLD,
        unit.to_str().unwrap(),
    ];
    run("systemd-analyze", &arguments, root());
}

#[test]
fn the_unit_is_one_that_systemd_understands() {
    let directory = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(folder().join("debian/sendpromptly.service")).unwrap();
    let unit = unit.replace("/usr/bin/sendpromptly", binary().to_str().unwrap());
    let path = directory.path().join("sendpromptly.service");
    std::fs::write(&path, unit).unwrap();
    let arguments = [
        "verify",
        "--man=no",
        "--recursive-errors=no",
        path.to_str().unwrap(),
    ];
    let said = run("systemd-analyze", &arguments, root());
    assert!(!said.contains("sendpromptly.service"), "{said}");
}

#[test]
fn the_configuration_that_is_installed_can_be_used() {
    let directory = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(folder().join("debian/sendpromptly.toml")).unwrap();
    let data = directory.path().join("data");
    let text = text.replace("/var/lib/sendpromptly", data.to_str().unwrap());
    // What is commented out is there to be used too.
    let used: String = text
        .lines()
        .map(|line| {
            line.strip_prefix('#')
                .filter(|line| line.contains(" = \""))
                .unwrap_or(line)
                .to_owned()
                + "\n"
        })
        .collect();
    for text in [text, used] {
        std::fs::write(directory.path().join("sendpromptly.toml"), text).unwrap();
        run(binary().to_str().unwrap(), &["migrate"], directory.path());
    }
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
        "etc/sendpromptly/sendpromptly.toml",
        "usr/share/doc/sendpromptly/alerts.yml",
        "DEBIAN/postinst",
        "DEBIAN/postrm",
    ] {
        assert!(unpacked.join(file).exists(), "{file} is missing");
    }
    let unit = ["lib", "usr/lib"].map(|lib| unpacked.join(lib).join("systemd/system/sendpromptly.service"));
    assert!(unit.iter().any(|unit| unit.exists()), "the unit is missing");
    let conffiles = std::fs::read_to_string(unpacked.join("DEBIAN/conffiles")).unwrap();
    assert_eq!(conffiles.trim(), "/etc/sendpromptly/sendpromptly.toml");
    for script in ["postinst", "postrm", "prerm"] {
        let script = unpacked.join("DEBIAN").join(script);
        run("sh", &["-n", script.to_str().unwrap()], root());
    }
    let version = run(
        unpacked.join("usr/bin/sendpromptly").to_str().unwrap(),
        &["--version"],
        root(),
    );
    assert!(version.starts_with("sendpromptly "), "{version}");
}

#[test]
fn the_container_is_made_from_files_that_are_there() {
    let text = std::fs::read_to_string(folder().join("Containerfile")).unwrap();
    assert!(text.contains("--package sendpromptly-server") && text.contains("USER 10001"));
    let secret = ["SENDPROMPTLY_DATABASE_URL", "SENDPROMPTLY_SMTP_URL", "_KEY="];
    assert!(
        secret.iter().all(|word| !text.contains(word)),
        "an image holds no secret"
    );
}
