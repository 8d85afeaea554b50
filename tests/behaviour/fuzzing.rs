//! What must hold of every parser on any input holds on some thousands of mutated seeds, in every run.
//!
//! The properties are those of the fuzz targets; the seeds are in the folder next to them. The mutations are the same in each run.

use std::{fs, panic, path::Path};

#[expect(
    unreachable_pub,
    reason = "another crate, the fuzzer's, takes the same functions"
)]
#[path = "../fuzz/targets/mod.rs"]
mod targets;

/// How many mutations each target gets.
const MUTATIONS: usize = 3000;

/// The longest mutation, in bytes: long enough to pass the bounds on tokens and cookies now and then.
const LONGEST: usize = 20_000;

macro_rules! targets {
    ($($name:ident)+) => {
        const TARGETS: &[&str] = &[$(stringify!($name)),+];

        mod every_promise_holds_for {
            use super::*;

            $(#[test]
            fn $name() {
                feed(stringify!($name), targets::$name::run);
            })+
        }
    };
}

targets! {
    access_tokens authorization base_urls cookies encrypted_values guards hub_answers identities next_urls oauth_messages password_hashes paths
    queries requests salted_token_hashes scopes secrets set_cookies settings sign_in signed_values token_hashes tokens xsrf
}

/// A generator of numbers that look random and are the same in each run: xorshift64*, Vigna 2016.
struct Mutator(u64);

impl Mutator {
    fn number(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        number as usize % below.max(1)
    }

    fn byte(&mut self) -> u8 {
        const TELLING: &[u8] = b"%&=;,:/\\?#\"' \t\r\n\0\x7f\xff.+-|@[]{}_09aAzZ";
        match self.number(4) {
            0 => self.number(256) as u8,
            _ => TELLING[self.number(TELLING.len())],
        }
    }

    /// One seed, changed in one to five places; pieces of the other seeds and of words that parsers know.
    fn mutation(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        const WORDS: &[&[u8]] = &[
            b"%2f",
            b"%2e%2e",
            b"%00",
            b"%25",
            b"%0a",
            b"token=",
            b"t%6Fken",
            b"&token",
            b"//",
            b"/../",
            b"http://",
            b"https://evil.example",
            b"Bearer ",
            b"_xsrf=",
            b"\"",
            b"null",
            b"\xc3\xa9",
            b"\xed\xa0\x80",
            b"0:|",
            b"same-origin",
            b"cross-site",
            b"{token}",
            b"{cookie}",
            b":443",
            b"[::1]",
            b"localhost",
            b"\r\n",
        ];
        let mut bytes = seeds[self.number(seeds.len())].clone();
        for _ in 0..=self.number(5) {
            let place = self.number(bytes.len() + 1);
            let end = (place + 1 + self.number(8)).min(bytes.len());
            match self.number(8) {
                0 => bytes.insert(place, self.byte()),
                1 => drop(bytes.drain(place.min(end)..end)),
                2 if place < bytes.len() => bytes[place] = self.byte(),
                3 if place < bytes.len() => bytes[place] ^= 1 << self.number(8),
                4 => drop(bytes.splice(place..place, WORDS[self.number(WORDS.len())].iter().copied())),
                5 => {
                    let other = &seeds[self.number(seeds.len())];
                    bytes.truncate(place);
                    bytes.extend_from_slice(&other[self.number(other.len() + 1)..]);
                }
                6 => bytes.truncate(place),
                7 if place < end && self.number(8) == 0 => {
                    let piece = bytes[place..end].to_vec();
                    let times = self.number(LONGEST / 8) / (1 + self.number(50));
                    bytes.splice(place..place, piece.repeat(times));
                }
                _ => {}
            }
        }
        bytes.truncate(LONGEST);
        bytes
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/seeds")
        .join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}: no seeds", folder.display());
    paths
        .iter()
        .map(|path| fs::read(path).expect("readable"))
        .collect()
}

/// Runs `promise` on every seed and on mutations of them.
#[track_caller]
fn feed(target: &str, promise: fn(&[u8])) {
    let seeds = seeds(target);
    let mut mutator = Mutator(0x9E37_79B9_7F4A_7C15);
    let mutations = (0..MUTATIONS).map(|_| mutator.mutation(&seeds));
    for bytes in seeds.iter().cloned().chain(mutations) {
        if let Err(panic) = panic::catch_unwind(|| promise(&bytes)) {
            eprintln!("{target} breaks on b\"{}\"", bytes.escape_ascii());
            panic::resume_unwind(panic);
        }
    }
}

#[test]
fn every_target_of_the_fuzzer_is_run_here_too() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/fuzz_targets");
    let mut found: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("a file")
                .path()
                .file_stem()
                .expect("a name")
                .display()
                .to_string()
        })
        .collect();
    found.sort();
    assert_eq!(found, TARGETS);
}

/// Each of these parsers has a defect of the kind that the targets are there for.
#[test]
fn mutations_find_defects_that_were_planted() {
    fn panics_on_a_cut_escape(query: &[u8]) {
        for (place, byte) in query.iter().enumerate() {
            if *byte == b'%' {
                let _ = query[place + 1..place + 3].to_vec();
            }
        }
    }
    fn misses_an_escaped_name(query: &[u8]) {
        let naive = query
            .split(|byte| *byte == b'&')
            .any(|pair| pair.starts_with(b"token="));
        assert_eq!(
            naive,
            portcullis::request::Query::new(query).has_token_parameter()
        );
    }
    fn overflows_on_long_input(query: &[u8]) {
        assert!(query.len() < 600);
    }
    for planted in [
        panics_on_a_cut_escape,
        misses_an_escaped_name,
        overflows_on_long_input,
    ] {
        let found = panic::catch_unwind(|| {
            let mut mutator = Mutator(1);
            let seeds = [b"a=1&token=0123456789abcdef&b=%20x".to_vec()];
            (0..MUTATIONS).for_each(|_| planted(&mutator.mutation(&seeds)));
        });
        assert!(found.is_err(), "a planted defect was not found");
    }
}
