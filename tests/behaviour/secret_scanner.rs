//! A secret that is recognised wherever it turns up, and the places where it must not.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use memchr::memmem;

/// A secret, and every form in which a piece of it would reveal it.
pub(crate) struct Canary {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    needles: Vec<Vec<u8>>,
}

/// The shortest piece that counts as a leak: 12 bytes in a row.
const PIECE: usize = 12;

impl Canary {
    /// A secret of 36 letters and digits of its own for each `name`.
    pub(crate) fn new(name: &str) -> Self {
        let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut letter = || {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(state >> 33) as usize % 62]
        };
        Self::of(name, &(0..36).map(|_| letter()).collect::<Vec<u8>>())
    }

    /// `bytes` as a secret.
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= PIECE, "{name} is too short to be recognized");
        let last = bytes.len() - PIECE;
        let needles = [0, last / 2, last]
            .into_iter()
            .flat_map(|start| forms(&bytes[start..start + PIECE]))
            .collect();
        Self {
            name: name.to_owned(),
            bytes: bytes.to_vec(),
            needles,
        }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("text")
    }

    /// Every byte as an escape.
    pub(crate) fn escaped(&self) -> String {
        self.bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
    }

    /// Whether `text` contains a piece of it, in any form.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let mut text = text.as_bytes().to_vec();
        // Escapes within escapes, and escapes of some bytes only.
        for _ in 0..3 {
            if self
                .needles
                .iter()
                .any(|needle| memmem::find(&text, needle).is_some())
            {
                return true;
            }
            let decoded = decoded(&text);
            if decoded == text {
                return false;
            }
            text = decoded;
        }
        false
    }
}

/// The encodings in which bytes may appear.
pub(crate) fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let each = |form: fn(u8) -> String| bytes.iter().map(|byte| form(*byte)).collect::<Vec<_>>();
    let mut forms = vec![
        bytes.to_vec(),
        bytes.iter().rev().copied().collect(),
        bytes.to_ascii_lowercase(),
        bytes.to_ascii_uppercase(),
        bytes.escape_ascii().to_string().into_bytes(),
    ];
    let texts = [
        each(|byte| format!("%{byte:02x}")).concat(),
        each(|byte| format!("%{byte:02X}")).concat(),
        each(|byte| format!("{byte:02x}")).concat(),
        each(|byte| format!("{byte:02X}")).concat(),
        each(|byte| format!("\\x{byte:02x}")).concat(),
        // As `Debug` shows a vector.
        each(|byte| byte.to_string()).join(", "),
        each(|byte| byte.to_string()).join(","),
    ];
    forms.extend(texts.map(String::into_bytes));
    for engine in [&BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let encoded = engine.encode([&vec![0; before], bytes].concat()).into_bytes();
            // Characters that hold bits of a neighbour are left out.
            let start = (before * 8).div_ceil(6);
            let end = (before + bytes.len()) * 8 / 6;
            forms.push(encoded[start..end].to_vec());
        }
    }
    forms
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut place = 0;
    while let Some(byte) = text.get(place) {
        let escape = (*byte == b'%')
            .then(|| digit(text.get(place + 1)).zip(digit(text.get(place + 2))))
            .flatten();
        bytes.push(escape.map_or(*byte, |(high, low)| (high * 16 + low) as u8));
        place += if escape.is_some() { 3 } else { 1 };
    }
    bytes
}

/// Every text that was written anywhere, each once. Clones collect into one.
#[derive(Clone, Default)]
pub(crate) struct Sinks(Arc<Mutex<BTreeSet<(&'static str, String)>>>);

impl Sinks {
    pub(crate) fn put(&self, place: &'static str, text: impl Into<String>) {
        let mut texts = self.0.lock().expect("no test panics in here");
        texts.insert((place, text.into()));
    }

    pub(crate) fn debug(&self, place: &'static str, value: &dyn Debug) {
        self.put(place, format!("{value:?}"));
        self.put(place, format!("{value:#?}"));
    }

    /// How many different texts were written at `place`.
    pub(crate) fn count(&self, place: &str) -> usize {
        let texts = self.0.lock().expect("no test panics in here");
        texts.iter().filter(|(other, _)| *other == place).count()
    }

    /// The texts that contain a piece of `canary`, except those at the places `but`.
    pub(crate) fn leaks_of(&self, canary: &Canary, but: &[&str]) -> Vec<String> {
        let texts = self.0.lock().expect("no test panics in here");
        texts
            .iter()
            .filter(|(place, text)| !but.contains(place) && canary.is_in(text))
            .map(|(place, text)| format!("{place} contains {}: {text}", canary.name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

    use super::*;

    #[test]
    fn the_searcher_finds_a_planted_secret_in_every_form() {
        let canary = Canary::new("planted");
        let text = canary.text();
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let half = format!("{}{}", &text[..18], canary.escaped()[54..].to_lowercase());
        let reversed: String = text.chars().rev().collect();
        let planted = [
            text.to_owned(),
            text[3..30].to_owned(),
            text[20..].to_owned(),
            text.to_ascii_uppercase(),
            text.to_ascii_lowercase(),
            canary.escaped(),
            canary.escaped().to_lowercase(),
            half,
            canary.escaped().replace('%', "%25"),
            canary.escaped().replace('%', "%2525"),
            hex.to_uppercase(),
            hex,
            reversed,
            format!("{:?}", canary.bytes),
            BASE64_STANDARD.encode(text),
            BASE64_STANDARD.encode(format!("a{text}b")),
            BASE64_STANDARD.encode(format!("ab{text}\u{e9}")),
            BASE64_URL_SAFE.encode(format!("abc:{text}")),
        ];
        for text in planted {
            let sinks = Sinks::default();
            sinks.put("log", format!("before {text} behind"));
            assert_eq!(sinks.leaks_of(&canary, &[]).len(), 1, "{text}");
            assert!(sinks.leaks_of(&canary, &["log"]).is_empty());
            assert!(sinks.leaks_of(&Canary::new("another"), &[]).is_empty(), "{text}");
        }
        let bytes = Canary::of("bytes", &(128..168).collect::<Vec<u8>>());
        for planted in [
            format!("{:?}", bytes.bytes),
            bytes.bytes.escape_ascii().to_string(),
            BASE64_URL_SAFE.encode([b"{", bytes.bytes.as_slice()].concat()),
            BASE64_STANDARD.encode([b"{}", bytes.bytes.as_slice()].concat()),
        ] {
            assert!(bytes.is_in(&planted), "{planted}");
        }
    }
}
