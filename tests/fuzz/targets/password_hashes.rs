//! Hashes of passwords as they are stored: what is read stays as it was written, costs no more than is allowed, and no
//! error quotes what was found.

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use portcullis::{
    PasswordHash, Secret,
    password::{HashCost, PasswordErrorKind},
};

/// A hash that the second reader, written here the plain way, takes.
struct Stored {
    memory: u64,
    work: u64,
    weak: bool,
}

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match (text.parse::<PasswordHash>(), stored(text)) {
        (Ok(hash), Some(Stored { memory, work, weak })) => {
            assert_eq!(hash.expose(), text);
            assert!(memory <= u64::from(HashCost::MAX_MEMORY) && work <= 1024 * 1024);
            assert_eq!(hash.is_weak(), weak);
            assert!(hash.needs_rehash(HashCost::default()) || !weak);
            assert_eq!(format!("{hash:?}"), "PasswordHash");
            assert!(hash.clone() == hash);
            // A password that no seed was made of; few are checked, for each costs what the hash says.
            if work <= 64 {
                assert!(!hash.verify(&Secret::from("of none of the seeds")));
                assert!(!hash.verify(&Secret::from("")));
            }
        }
        (Err(error), None) => {
            assert!(
                matches!(
                    error.kind(),
                    PasswordErrorKind::ExcessiveCost | PasswordErrorKind::Malformed
                ),
                "{error:?}"
            );
            let error = error.to_string();
            let known = error.strip_prefix("password hash: expected ");
            let known = known.unwrap_or_else(|| panic!("{error}"));
            // Salts and digests are longer than any number that may be quoted.
            let secret = |part: &&str| part.len() > 10 && known.contains(*part);
            let part = text
                .split(['$', ':', ',', '='])
                .find(|part| part.bytes().all(|byte| byte.is_ascii_alphanumeric()) && secret(part));
            assert!(part.is_none(), "{error}");
        }
        (Ok(_), None) => panic!("expected a refusal"),
        (Err(error), Some(_)) => panic!("expected a hash: {error}"),
    }
}

fn stored(text: &str) -> Option<Stored> {
    if text.len() > 1024 {
        return None;
    }
    match text.strip_prefix("argon2:") {
        Some(phc) => argon2(phc),
        None => fast(text),
    }
}

fn argon2(phc: &str) -> Option<Stored> {
    let fields: Vec<&str> = phc.split('$').collect();
    let (kind, version, parameters, salt, tag) = match *fields {
        ["", kind, version, parameters, salt, tag] => (kind, version, parameters, salt, tag),
        ["", kind, parameters, salt, tag] => (kind, "v=16", parameters, salt, tag),
        _ => return None,
    };
    if !["argon2d", "argon2i", "argon2id"].contains(&kind) || !["v=16", "v=19"].contains(&version) {
        return None;
    }
    let numbers: Vec<u64> = parameters
        .split(',')
        .zip(["m=", "t=", "p="])
        .filter_map(|(field, name)| canonical(field.strip_prefix(name)?))
        .collect();
    let [memory, passes, lanes] = *numbers else {
        return None;
    };
    if parameters.split(',').count() != 3 {
        return None;
    }
    let (salt, tag) = (bytes(salt)?, bytes(tag)?);
    let work = memory.checked_mul(passes)?;
    let in_bounds = memory <= 256 * 1024 && work <= 1024 * 1024 && lanes <= 64;
    let possible = lanes > 0 && passes > 0 && memory >= 8 * lanes && salt >= 8 && tag >= 4;
    if !in_bounds || !possible {
        return None;
    }
    let floor = match passes {
        1 => 47_104,
        2 => 19_456,
        3 => 12_288,
        4 => 9_216,
        _ => 7_168,
    };
    let strong = kind == "argon2id" && version == "v=19" && memory >= floor && salt >= 16 && tag >= 16;
    Some(Stored {
        memory,
        work,
        weak: !strong,
    })
}

/// The form of before argon2: one round of a fast hash.
fn fast(text: &str) -> Option<Stored> {
    let fields: Vec<&str> = text.split(':').collect();
    let [name, salt, digest] = *fields else {
        return None;
    };
    let length = match &*name.to_ascii_lowercase() {
        "sha1" => 40,
        "sha256" => 64,
        "sha512" => 128,
        _ => return None,
    };
    let hexadecimal = digest
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (salt.is_ascii() && digest.len() == length && hexadecimal).then_some(Stored {
        memory: 0,
        work: 0,
        weak: true,
    })
}

/// A number in its only spelling that fits into 32 bits.
fn canonical(text: &str) -> Option<u64> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number.into())
}

/// How many bytes `text` is the only encoding of.
fn bytes(text: &str) -> Option<usize> {
    let bytes = BASE64_STANDARD_NO_PAD.decode(text).ok()?;
    (BASE64_STANDARD_NO_PAD.encode(&bytes) == text).then_some(bytes.len())
}
