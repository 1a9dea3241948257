//! Replays the seeds, on a stable compiler: as they are, cut short anywhere, and with any one byte changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sendpromptly_fuzz::TARGETS;

#[test]
fn every_seed_is_survived() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seed");
        for seed in seeds {
            target(&fs::read(seed).unwrap());
        }
    }
}

#[test]
fn every_seed_cut_short_is_survived() {
    for (name, target) in TARGETS {
        for seed in seeds(name) {
            let data = fs::read(seed).unwrap();
            (0..data.len()).for_each(|length| target(&data[..length]));
        }
    }
}

#[test]
fn every_seed_with_one_byte_changed_is_survived() {
    for (name, target) in TARGETS {
        for seed in seeds(name) {
            let mut data = fs::read(seed).unwrap();
            for index in 0..data.len() {
                let kept = data[index];
                for changed in [0, b'"', b'0', b'\\', 0x80, 0xff, kept ^ 1, kept ^ 0x20] {
                    data[index] = changed;
                    target(&data);
                }
                data[index] = kept;
            }
        }
    }
}

#[test]
fn every_folder_of_seeds_and_every_binary_belongs_to_a_target() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in("corpus"), targets);
    assert_eq!(names_in("targets"), targets);
}

fn root(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn seeds(target: &str) -> Vec<PathBuf> {
    let folder = root("corpus").join(target);
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn names_in(folder: &str) -> BTreeSet<String> {
    fs::read_dir(root(folder))
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}
