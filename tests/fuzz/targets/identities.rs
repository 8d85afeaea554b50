//! Identities: what is read is what JSON says, and is written so that it is read again.

use portcullis::Identity;
use serde::de::IgnoredAny;
use serde_json::Value;

pub fn run(data: &[u8]) {
    let found = Identity::from_payload(data);
    let json: Option<Value> = (data.len() <= 4096)
        .then(|| serde_json::from_slice(data).ok())
        .flatten();
    let Ok(identity) = found else {
        let error = found.expect_err("refused").to_string();
        assert!(error.starts_with("identity payload: "), "{error}");
        return;
    };
    let Some(json) = json else {
        // Numbers too great and halves of surrogate pairs, where they are passed over.
        assert!(serde_json::from_slice::<IgnoredAny>(data).is_ok());
        return;
    };
    let text = |key: &str| json[key].as_str();
    let some = |key: &str| text(key).filter(|text| !text.is_empty());
    assert_eq!(some("username"), Some(identity.username()));
    assert_eq!(some("name").unwrap_or(identity.username()), identity.name());
    assert_eq!(
        some("display_name").unwrap_or(identity.name()),
        identity.display_name()
    );
    assert_eq!(
        (text("initials"), text("color"), text("avatar_url")),
        (identity.initials(), identity.color(), identity.avatar_url())
    );

    let payload = identity.to_payload();
    assert!(payload.is_ascii() && !payload.contains(char::is_control));
    if payload.len() <= 4096 {
        let again = Identity::from_payload(payload.as_bytes()).expect("its own payload");
        assert_eq!(again, identity);
        assert_eq!(again.to_payload(), payload);
    }
    let built = Identity::new(identity.username())
        .with_name(identity.name())
        .with_display_name(identity.display_name());
    assert_eq!(
        (built.username(), built.name(), built.display_name()),
        (identity.username(), identity.name(), identity.display_name())
    );
}
