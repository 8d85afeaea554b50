//! JupyterHub's scopes: what is read has the parts it was written of, covers itself, and nothing without its filter.

use portcullis::{Scopes, session::Scope};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let each: Vec<&str> = text.lines().collect();
    for text in &each {
        let Some(scope) = Scope::parse(text) else {
            continue;
        };
        let written = match scope.filter() {
            None => scope.name().to_owned(),
            Some((kind, None)) => format!("{}!{kind}", scope.name()),
            Some((kind, Some(value))) => format!("{}!{kind}={value}", scope.name()),
        };
        assert_eq!(written, *text);
        assert!(scope.covers(scope), "{text}");
        if let Some(bare) = Scope::parse(scope.name()) {
            assert!(bare.covers(scope), "{text}");
            assert_eq!(scope.covers(bare), scope.filter().is_none(), "{text}");
        }
    }
    let scopes: Scopes = each.iter().collect();
    let (first, second) = each.split_at(each.len() / 2);
    let [first, second]: [Scopes; 2] = [first, second].map(|half| half.iter().collect());
    let both = first.intersection(&second);
    assert!(first.covers_all(&both) && second.covers_all(&both), "{text:?}");
    assert!(scopes.covers_all(&both), "{text:?}");
}
