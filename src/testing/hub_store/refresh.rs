//! What holds for refresh tokens, and for the tokens of their families.

use super::{
    super::{
        session_steps::{END, begin, end, session},
        token_store::{NOW, all, find, insert, new_hash, record},
    },
    steps::{code, find_code},
};
use crate::{
    clock::UnixTime,
    maybe_future::BoxFuture,
    session::{grant::Grant, identity::Identity},
    store::{
        CodeRedemption, HubStore, RecordId, RefreshHashes, RefreshRotation, SessionFilter, StoreErrorKind,
        TokenFilter, TokenRecord,
    },
    token::TokenHash,
};

/// A refresh token, and the access token that came with it.
struct Family {
    hashes: RefreshHashes,
    id: RecordId,
    access: TokenHash,
}

/// A new refresh token of `owner`, made in `session_id` unless that is empty, with an access token.
async fn family(store: &dyn HubStore, owner: &str, session_id: &str) -> Family {
    let hashes = RefreshHashes {
        family: new_hash(),
        secret: new_hash(),
    };
    let record = of_session(
        TokenRecord::new(grant(owner).with_expiry(END), NOW).with_client("c"),
        session_id,
    );
    let id = record.id();
    let record = record.with_family(id).with_resource("https://mcp.example.org");
    let kept = store.insert_refresh(hashes, record.clone()).await;
    kept.expect("a new refresh token is kept");
    assert_eq!(
        find(store, hashes.family).await,
        Some(record),
        "a refresh token is found as it was made"
    );
    assert_eq!(find(store, hashes.secret).await, None, "by its family alone");
    let access = new_hash();
    let token = TokenRecord::new(grant(owner), NOW)
        .with_family(id)
        .with_resource("https://api.example.org");
    insert(store, access, &of_session(token, session_id)).await;
    Family { hashes, id, access }
}

fn grant(owner: &str) -> Grant {
    Grant::new(Identity::new(owner))
}

fn of_session(record: TokenRecord, session_id: &str) -> TokenRecord {
    match session_id {
        "" => record,
        session_id => record.with_session(session_id),
    }
}

async fn revoke(store: &dyn HubStore, which: TokenFilter) -> u64 {
    store.revoke(which).await.expect("the store answers")
}

impl Family {
    /// What a use of `secret` comes to, and the hash of the access token.
    async fn rotate(
        &self,
        store: &dyn HubStore,
        secret: TokenHash,
        next: TokenHash,
        now: UnixTime,
    ) -> (RefreshRotation, TokenHash) {
        let access = new_hash();
        let hashes = RefreshHashes {
            secret,
            ..self.hashes
        };
        let token = TokenRecord::new(grant("any"), now).with_family(self.id);
        let rotated = store.rotate_refresh(hashes, next, END, access, token).await;
        (rotated.expect("the store answers"), access)
    }

    async fn is_gone(&self, store: &dyn HubStore) -> bool {
        let kept = [self.hashes.family, self.access];
        let [refresh, access] = kept.map(|hash| find(store, hash));
        refresh.await.is_none() && access.await.is_none()
    }
}

pub(super) async fn a_refresh_token_is_replaced_at_each_use(store: &dyn HubStore) {
    begin(store, &session("refresher", "refreshing"), None).await;
    let family = family(store, "refresher", "refreshing").await;
    let [second, third] = [new_hash(), new_hash()];
    let (issued, first_token) = family.rotate(store, family.hashes.secret, second, NOW).await;
    assert_eq!(issued, RefreshRotation::Issued, "a current token is accepted");
    let found = find(store, first_token).await.expect("its access token is kept");
    assert_eq!(found.family(), Some(family.id));
    assert_eq!(
        found.session_id(),
        Some("refreshing"),
        "the access token is of the refresh token's session"
    );
    let (issued, second_token) = family.rotate(store, second, third, NOW).await;
    assert_eq!(issued, RefreshRotation::Issued, "so is the next one");
    let kept = find(store, family.hashes.family).await.expect("its record stays");
    assert!(kept.is_refresh() && kept.last_used() == Some(NOW));

    let (reused, rejected) = family.rotate(store, second, new_hash(), NOW).await;
    assert_eq!(
        reused,
        RefreshRotation::Reused { revoked: 4 },
        "one that was used before ends the family"
    );
    for token in [first_token, second_token, rejected] {
        assert_eq!(find(store, token).await, None, "with all of its access tokens");
    }
    assert!(family.is_gone(store).await);
    let (unknown, _) = family.rotate(store, third, new_hash(), NOW).await;
    assert_eq!(unknown, RefreshRotation::Unknown, "and with the current one");
}

pub(super) async fn a_use_moves_the_end_of_a_refresh_token(store: &dyn HubStore) {
    let idle = family(store, "idler", "").await;
    let (expired, token) = idle.rotate(store, idle.hashes.secret, new_hash(), END).await;
    assert_eq!(expired, RefreshRotation::Unknown, "an expired one is not good");
    assert_eq!(find(store, token).await, None);
    let family = family(store, "idler", "").await;
    let (next, later) = (new_hash(), UnixTime::from_secs(END.as_secs() + 9));
    let token = TokenRecord::new(grant("idler"), NOW).with_family(family.id);
    let rotated = store
        .rotate_refresh(family.hashes, next, later, new_hash(), token)
        .await;
    assert_eq!(rotated.expect("the store answers"), RefreshRotation::Issued);
    let kept = find(store, family.hashes.family).await.expect("its record stays");
    assert_eq!(kept.grant().expires_at(), Some(later));
    let (issued, _) = family.rotate(store, next, new_hash(), END).await;
    assert_eq!(
        issued,
        RefreshRotation::Issued,
        "a used one is accepted for longer"
    );
}

pub(super) async fn a_rejected_token_does_not_use_up_the_refresh_token(store: &dyn HubStore) {
    let (family, taken) = (family(store, "unlucky", "").await, new_hash());
    insert(store, taken, &record("holder")).await;
    let token = TokenRecord::new(grant("unlucky"), NOW).with_family(family.id);
    let refused = store
        .rotate_refresh(family.hashes, new_hash(), END, taken, token)
        .await;
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err(StoreErrorKind::Duplicate),
        "a token that is there already is refused"
    );
    let (issued, _) = family.rotate(store, family.hashes.secret, new_hash(), NOW).await;
    assert_eq!(
        issued,
        RefreshRotation::Issued,
        "the refresh token is as good as before"
    );
}

pub(super) async fn what_ends_one_token_of_a_family_ends_all(store: &dyn HubStore) {
    type Filter = fn(RecordId, RecordId) -> TokenFilter;
    let ways: [(&str, Filter); 3] = [
        ("the refresh token", |refresh, _| TokenFilter::id(refresh)),
        ("an access token", |_, access| TokenFilter::id(access)),
        ("the client", |_, _| TokenFilter::owner("ender").and_client("c")),
    ];
    for (what, which) in ways {
        let (ended, other) = (family(store, "ender", "").await, family(store, "other", "").await);
        let access = find(store, ended.access).await.expect("an access token").id();
        assert_eq!(revoke(store, which(ended.id, access)).await, 2, "{what}");
        assert!(ended.is_gone(store).await, "{what} ends its family");
        assert!(!other.is_gone(store).await, "and no other");
        revoke(store, TokenFilter::id(other.id)).await;
    }
    begin(store, &session("leaver", "leaving"), None).await;
    let family = family(store, "leaver", "leaving").await;
    end(store, SessionFilter::owner("leaver")).await;
    assert!(family.is_gone(store).await, "so does the end of its session");
}

pub(super) async fn a_code_that_is_used_twice_ends_the_family(store: &dyn HubStore) {
    let (code, family) = (code(store, "").await, family(store, "coder", "").await);
    let redeem = |hash| {
        let token = TokenRecord::new(grant("coder"), NOW).with_family(family.id);
        store.redeem_code(code, hash, token)
    };
    let first = redeem(new_hash()).await.expect("the store answers");
    assert_eq!(first, CodeRedemption::Issued);
    let second = redeem(new_hash()).await.expect("the store answers");
    assert_eq!(second, CodeRedemption::AlreadyUsed { revoked: 3 });
    assert!(family.is_gone(store).await, "with its refresh token");
    assert!(find_code(store, code).await.is_some());
}

pub(super) async fn of_many_who_use_a_refresh_token_one_gets_a_token_which_ends(store: &dyn HubStore) {
    for _ in 0..4 {
        let (family, tokens) = (family(store, "racer", "").await, [(); 32].map(|()| new_hash()));
        let rotated = all(tokens.map(|access| {
            let token = TokenRecord::new(grant("racer"), NOW).with_family(family.id);
            store.rotate_refresh(family.hashes, new_hash(), END, access, token)
        }))
        .await;
        let issued = rotated
            .iter()
            .filter(|rotated| matches!(rotated, Ok(RefreshRotation::Issued)));
        assert_eq!(
            issued.count(),
            1,
            "of many who use a refresh token one gets a token"
        );
        assert!(rotated.iter().all(Result::is_ok), "and the others an answer");
        for token in tokens {
            assert_eq!(find(store, token).await, None, "and the token ends");
        }
        assert!(family.is_gone(store).await);
    }
}

pub(super) async fn a_revocation_or_logout_during_a_refresh_leaves_nothing(store: &dyn HubStore) {
    for round in 0..32 {
        let session_id = format!("refreshed {round}");
        begin(store, &session("refreshed", &session_id), None).await;
        let family = family(store, "refreshed", &session_id).await;
        let token = TokenRecord::new(grant("refreshed"), NOW).with_family(family.id);
        let rotated = store.rotate_refresh(family.hashes, new_hash(), END, new_hash(), token);
        let rotated: BoxFuture<()> = Box::pin(async move { rotated.await.map(drop).expect("an answer") });
        let ended: BoxFuture<()> = if round % 2 == 0 {
            let revoked = store.revoke(TokenFilter::id(family.id));
            Box::pin(async move { revoked.await.map(drop).expect("an answer") })
        } else {
            let ended = store.end_sessions(SessionFilter::owner("refreshed"));
            Box::pin(async move { ended.await.map(drop).expect("an answer") })
        };
        let both = if round % 4 < 2 {
            [rotated, ended]
        } else {
            [ended, rotated]
        };
        all(both).await;
        let left = store
            .list(TokenFilter::owner("refreshed"), NOW)
            .await
            .expect("a list");
        assert_eq!(left, [], "after it no token of the family is left");
    }
}
