//! What every store of sessions must be able to do.

use super::{
    ended_sessions::listeners_are_called_with_the_sessions_that_ended,
    session_steps::{END, after, begin, end, find_session, grant, session},
    token_store::{NOW, all, new_hash},
};
use crate::{
    session::{grant::Grant, identity::Identity},
    store::{
        RecordId, SessionCredential, SessionFilter, SessionRecord, SessionStore, SessionTouch, StoreErrorKind,
    },
};

/// Tests a store for all that [`SessionStore`] promises: run it in a test, on a store that is new.
///
/// It does not test whether what was acknowledged outlives the process; that takes a second process.
///
/// # Panics
///
/// If the store breaks a promise; the message says which.
///
/// # Example
///
/// ```
/// use portcullis::{store::MemoryTokenStore, testing::session_store_conformance};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// session_store_conformance(&MemoryTokenStore::new()).await;
/// # });
/// ```
pub async fn session_store_conformance(store: &dyn SessionStore) {
    a_session_is_found_as_it_was_inserted(store).await;
    a_second_session_of_the_same_is_refused(store).await;
    sessions_are_listed(store).await;
    what_was_selected_ends_and_nothing_else(store).await;
    a_touch_changes_what_it_names(store).await;
    a_touch_brings_no_session_back(store).await;
    a_session_that_ends_during_its_touches_stays_ended(store).await;
    of_many_that_replace_one_session_all_begin_and_it_ends(store).await;
    expired_sessions_are_removed_in_bounded_steps(store).await;
    listeners_are_called_with_the_sessions_that_ended(store).await;
}

async fn a_session_is_found_as_it_was_inserted(store: &dyn SessionStore) {
    let identity = Identity::new("Alice")
        .with_name("Alice Liddell")
        .with_color("#fff");
    let grant = Grant::new(identity)
        .with_scopes(["read", "access:servers!server=alice/"])
        .with_expiry(after(30))
        .with_label("phone")
        .with_groups(["staff", "a \"b\" é"])
        .as_admin();
    let full = |address: &str| {
        SessionRecord::new(grant.clone(), address, NOW, END)
            .with_last_used(after(1))
            .with_checked_at(after(2))
            .with_address(address.parse::<std::net::IpAddr>().expect("an address"))
            .with_credential(SessionCredential::Token(new_hash()))
    };
    let of_text = ["Firefox", "", "' é\u{202e}🔑\n"].map(|text| {
        let session = session(&format!("carol {text}"), &format!("begun {text}"));
        session.with_note(text)
    });
    let of_address = ["192.0.2.1", "2001:db8::1"].map(full);
    for session in of_text.into_iter().chain(of_address) {
        let hash = begin(store, &session, None).await;
        let found = find_session(store, hash).await;
        assert_eq!(found, Some(session), "a session is found as it was inserted");
    }
    let found = find_session(store, new_hash()).await;
    assert_eq!(found, None, "no session is under another hash");
}

async fn a_second_session_of_the_same_is_refused(store: &dyn SessionStore) {
    let first = session("twice", "twice");
    let hash = begin(store, &first, None).await;
    for (hash, second) in [
        (hash, session("twice", "other")),
        (new_hash(), session("twice", "other").with_id(first.id())),
        (new_hash(), session("twice", "twice")),
    ] {
        let refused = store.insert_session(hash, second, None).await;
        let refused = refused.map_err(|error| error.kind());
        let expected = Err(StoreErrorKind::Duplicate);
        assert_eq!(
            refused, expected,
            "a second of one hash, id or session id is refused"
        );
    }
    let found = find_session(store, hash).await;
    assert_eq!(found, Some(first), "the first stays as it was");
}

async fn sessions_are_listed(store: &dyn SessionStore) {
    let made = |owner: &str, session_id: &str, created, expires_at| {
        SessionRecord::new(grant(owner), session_id, after(created), expires_at)
    };
    let credential = SessionCredential::Fingerprint(new_hash());
    let second = made("lister", "l2", 2, END).with_credential(credential);
    let first = made("lister", "l1", 1, END);
    let expired = made("lister", "l3", 1, after(3)).with_credential(credential);
    let foreign = made("Lister", "l4", 3, END).with_credential(credential);
    for session in [&second, &first, &expired, &foreign] {
        begin(store, session, None).await;
    }
    let mine = || SessionFilter::owner("lister");
    for (which, expected) in [
        (mine(), &[&first, &second][..]),
        (mine().and_session("l2"), &[&second]),
        (mine().and_session("l4"), &[]),
        (mine().and_not_session("l2"), &[&first]),
        (mine().and_not_session("l4"), &[&first, &second]),
        (mine().and_id(first.id()), &[&first]),
        (mine().and_id(first.id()).and_session("l2"), &[]),
        (mine().and_id(first.id()).and_not_session("l1"), &[]),
        (mine().and_id(foreign.id()), &[]),
        (mine().and_id(RecordId::from(u64::MAX)), &[]),
        (SessionFilter::id(foreign.id()), &[&foreign]),
        (SessionFilter::credential(credential), &[&second, &foreign]),
        (
            SessionFilter::credential(credential).and_not_session("l4"),
            &[&second],
        ),
        (
            SessionFilter::credential(SessionCredential::Token(new_hash())),
            &[],
        ),
        (SessionFilter::owner("no-such-user"), &[]),
    ] {
        let found = store
            .list_sessions(which.clone(), after(3))
            .await
            .expect("a list");
        let expected: Vec<SessionRecord> = expected.iter().map(|&session| session.clone()).collect();
        assert_eq!(found, expected, "the list of {which:?}, oldest first");
    }
}

async fn what_was_selected_ends_and_nothing_else(store: &dyn SessionStore) {
    let credential = SessionCredential::Fingerprint(new_hash());
    type Which = fn(&[SessionRecord; 4], SessionCredential) -> SessionFilter;
    let cases: [(Which, [bool; 4]); 7] = [
        (|_, _| SessionFilter::owner("ender"), [false, false, false, true]),
        (
            |_, _| SessionFilter::owner("ender").and_session("s1"),
            [true, false, true, true],
        ),
        (
            |_, _| SessionFilter::owner("ender").and_not_session("s1"),
            [false, true, false, true],
        ),
        (|_, _| SessionFilter::owner("ender").and_session("s3"), [true; 4]),
        (|all, _| SessionFilter::id(all[3].id()), [true, true, true, false]),
        (
            |all, _| SessionFilter::owner("ender").and_id(all[3].id()),
            [true; 4],
        ),
        (
            |_, credential| SessionFilter::credential(credential),
            [true, true, false, false],
        ),
    ];
    for (which, stays) in cases {
        let records = [
            session("ender", "s0"),
            session("ender", "s1").with_credential(SessionCredential::Token(new_hash())),
            session("ender", "s2").with_credential(credential),
            session("other", "s3").with_credential(credential),
        ];
        let mut hashes = Vec::new();
        for record in &records {
            hashes.push(begin(store, record, None).await);
        }
        let which = which(&records, credential);
        let expected = stays.iter().filter(|stays| !**stays).count() as u64;
        assert_eq!(
            end(store, which.clone()).await,
            expected,
            "how many {which:?} are"
        );
        assert_eq!(end(store, which.clone()).await, 0, "none of {which:?} is left");
        for (hash, stays) in hashes.into_iter().zip(stays) {
            let found = find_session(store, hash).await.is_some();
            assert_eq!(found, stays, "after {which:?} ended");
        }
        for owner in ["ender", "other"] {
            end(store, SessionFilter::owner(owner)).await;
        }
    }
}

async fn a_touch_changes_what_it_names(store: &dyn SessionStore) {
    let began = session("toucher", "touched").with_note("browser");
    let hash = begin(store, &began, None).await;
    let more = Grant::new(Identity::new("toucher").with_name("T."))
        .with_groups(["staff"])
        .with_scopes(["read"])
        .with_expiry(after(100));
    let used = |last_used, expires_at| SessionTouch::new(after(last_used), after(expires_at));
    let record = |grant: &Grant, last_used, checked_at, expires_at| {
        SessionRecord::new(grant.clone(), "touched", NOW, after(expires_at))
            .with_id(began.id())
            .with_note("browser")
            .with_last_used(after(last_used))
            .with_checked_at(after(checked_at))
    };
    for (touch, expected, why) in [
        (
            used(10, 70),
            record(began.grant(), 10, 0, 70),
            "last use and expiry are written, and the grant stays",
        ),
        (
            used(20, 80).with_checked(after(20), more.clone()),
            record(&more, 20, 20, 80),
            "a grant that was checked replaces the one before",
        ),
        (
            used(15, 75).with_checked(after(15), grant("toucher")),
            record(&more, 20, 20, 75),
            "the last use does not go back, and an earlier check replaces nothing",
        ),
        (
            used(20, 80),
            record(&more, 20, 20, 80),
            "the check is kept by a touch without one",
        ),
    ] {
        let touched = store.touch_session(hash, touch).await;
        assert!(touched.expect("a store that can be written to"), "{why}");
        assert_eq!(find_session(store, hash).await, Some(expected), "{why}");
    }
    let mine = SessionFilter::owner("toucher");
    let listed = store.list_sessions(mine, after(79)).await.expect("a list");
    assert_eq!(listed.len(), 1, "what was touched is listed until its new expiry");
}

async fn a_touch_brings_no_session_back(store: &dyn SessionStore) {
    let [ended, expired] = [session("past", "p1"), session("past", "p2")];
    let hash_ended = begin(store, &ended, None).await;
    let hash_expired = begin(store, &expired, None).await;
    end(store, SessionFilter::id(ended.id())).await;
    for (hash, left, what) in [
        (hash_ended, None, "has ended"),
        (hash_expired, Some(expired), "has expired"),
        (new_hash(), None, "never began"),
    ] {
        let touch = SessionTouch::new(END, after(1_000)).with_checked(END, grant("past"));
        let touched = store
            .touch_session(hash, touch)
            .await
            .expect("a store that can be written to");
        assert!(!touched, "a session that {what} is not touched");
        assert_eq!(
            find_session(store, hash).await,
            left,
            "a session that {what} stays as it is"
        );
    }
}

async fn a_session_that_ends_during_its_touches_stays_ended(store: &dyn SessionStore) {
    for round in 0..32 {
        let raced = session("raced", &format!("raced {round}"));
        let hash = begin(store, &raced, None).await;
        let touch = || {
            let touch = SessionTouch::new(after(1), after(90)).with_checked(after(1), grant("raced"));
            let touched = store.touch_session(hash, touch);
            Box::pin(async move { touched.await.map(u64::from) }) as crate::store::BoxFuture<_>
        };
        let ends = store.end_sessions(SessionFilter::id(raced.id()));
        let answers = all([touch(), touch(), ends, touch(), touch()]).await;
        assert!(answers.iter().all(Result::is_ok), "each gets an answer");
        assert_eq!(find_session(store, hash).await, None, "no touch brings it back");
    }
}

async fn of_many_that_replace_one_session_all_begin_and_it_ends(store: &dyn SessionStore) {
    const MANY: usize = 64;
    let old = session("rotated", "before");
    let hash = begin(store, &old, None).await;
    let inserted = (0..MANY).map(|number| {
        let new = session("rotated", &format!("after {number}"));
        store.insert_session(new_hash(), new, Some("before".to_owned()))
    });
    let inserted = all(inserted).await;
    assert!(inserted.iter().all(Result::is_ok), "each new session begins");
    assert_eq!(
        find_session(store, hash).await,
        None,
        "the session they replace ends"
    );
    let ended = end(store, SessionFilter::owner("rotated")).await;
    assert_eq!(ended, MANY as u64, "there are as many sessions as began");
}

async fn expired_sessions_are_removed_in_bounded_steps(store: &dyn SessionStore) {
    // Of the other tests here no session expires so late, and an insertion removes some that have expired when it happens.
    let (count, from) = (10, 10_000);
    let mut hashes = Vec::new();
    for number in 0..count {
        let session_id = format!("swept {number}");
        let session = SessionRecord::new(grant("swept"), &session_id, NOW, after(from + number));
        hashes.push(begin(store, &session, None).await);
    }
    let remove = async |now, limit| {
        let removed = store.remove_expired_sessions(now, limit).await;
        removed.expect("a store that can be written to")
    };
    while remove(after(from - 1), 64).await > 0 {}
    for (now, limit, removed, left) in [
        (from - 1, 100, 0, 10),
        (from, 100, 1, 9),
        (from + count, 0, 0, 9),
        (from + count, 4, 4, 5),
        (from + count, usize::MAX, 5, 0),
        (from + count, 100, 0, 0),
    ] {
        assert_eq!(
            remove(after(now), limit).await,
            removed,
            "at {now}, at most {limit}"
        );
        let mut found = Vec::new();
        for hash in &hashes {
            found.push(find_session(store, *hash).await.is_some());
        }
        let there: Vec<bool> = (0..hashes.len())
            .map(|number| number >= hashes.len() - left)
            .collect();
        assert_eq!(found, there, "those that expired first are removed first");
    }
}
