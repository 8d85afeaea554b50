//! Identities as the login cookie of a Jupyter Server carries them.

use portcullis::Identity;
use serde_json::Value;

use super::{Rule, base64, check_rows};

/// In the order of the payload.
const KEYS: [&str; 6] = [
    "username",
    "name",
    "display_name",
    "initials",
    "color",
    "avatar_url",
];

/// The six fields as JSON values, or `None` if the payload identifies no user.
fn read(payload: &[u8]) -> Option<[Value; 6]> {
    let identity = Identity::from_payload(payload).ok()?;
    Some([
        Value::from(identity.username()),
        Value::from(identity.name()),
        Value::from(identity.display_name()),
        Value::from(identity.initials()),
        Value::from(identity.color()),
        Value::from(identity.avatar_url()),
    ])
}

#[test]
fn payloads_are_read_as_a_jupyter_server_reads_them() {
    check_rows(
        "jupyter-server/user_cookie_payload.json",
        &[Rule {
            decision: "41",
            reason: "a payload is a JSON object, its fields are text or null",
            result: |case| {
                let payload = base64(case["payload_b64"].as_str()?);
                let Ok(Value::Object(object)) = serde_json::from_slice(&payload) else {
                    return Some(None);
                };
                let text = |key| {
                    object
                        .get(key)
                        .is_none_or(|value: &Value| value.is_string() || value.is_null())
                };
                (!KEYS.into_iter().all(text)).then_some(None)
            },
        }],
        |case| {
            let identity = &case["identity"];
            identity
                .is_object()
                .then(|| KEYS.map(|key| identity[key].clone()))
        },
        |case| read(&base64(case["payload_b64"].as_str().expect("base64"))),
    );
}

#[test]
fn a_payload_is_written_byte_for_byte_as_a_jupyter_server_writes_it() {
    let Some(file) = super::load("jupyter-server/user_cookie_payload.json") else {
        return;
    };
    let cases = file["cases"].as_array().expect("a list of cases");
    for case in cases
        .iter()
        .filter(|case| case["label"] == "full" || case["label"] == "color set")
    {
        let payload = base64(case["payload_b64"].as_str().expect("base64"));
        let identity = Identity::from_payload(&payload).expect("an identity");
        assert_eq!(identity.to_payload().as_bytes(), payload, "{case}");
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_identity_survives_its_payload(
            username in any::<String>().prop_filter("a username", |name| !name.is_empty()),
            fields in any::<[Option<String>; 5]>(),
        ) {
            let [name, display_name, initials, color, avatar_url] = fields;
            let mut identity = Identity::new(&username);
            type Setter = fn(&Identity, &str) -> Identity;
            for (value, set) in [
                (name, Identity::with_name as Setter),
                (display_name, Identity::with_display_name),
                (initials, Identity::with_initials),
                (color, Identity::with_color),
                (avatar_url, Identity::with_avatar_url),
            ] {
                if let Some(value) = value {
                    identity = set(&identity, &value);
                }
            }
            let payload = identity.to_payload();
            prop_assert!(payload.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            // What another JSON reader finds in it.
            let object: Value = serde_json::from_str(&payload).expect("JSON");
            prop_assert_eq!(object["username"].as_str(), Some(username.as_str()));
            prop_assert_eq!(object["initials"].as_str(), identity.initials());
            if payload.len() <= 4096 {
                prop_assert_eq!(Identity::from_payload(payload.as_bytes()).expect("our own"), identity);
            }
        }

        #[test]
        fn no_payload_makes_the_reader_panic(payload in any::<Vec<u8>>()) {
            let _ = Identity::from_payload(&payload);
        }

        #[test]
        fn a_damaged_payload_identifies_no_other_user(place in 0_usize..120, byte: u8) {
            let mut payload = Identity::new("alice").to_payload().into_bytes();
            let place = place % payload.len();
            payload[place] = byte;
            if let Ok(identity) = Identity::from_payload(&payload) {
                let object: Value = serde_json::from_slice(&payload).expect("JSON");
                prop_assert_eq!(object["username"].as_str(), Some(identity.username()));
            }
        }
    }
}
