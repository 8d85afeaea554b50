//! Every store is held against the same suite, the one that users run on their own.

use portcullis::{MemoryTokenStore, TokenStore, testing::store_conformance};

#[tokio::test]
async fn memory() {
    let store = MemoryTokenStore::new();
    check(&store).await;
    #[cfg(feature = "provider")]
    portcullis::testing::hub_store_conformance(&store).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let store =
        portcullis::store::SqliteTokenStore::open(folder.path().join("tokens.sqlite")).expect("a store");
    check(&store).await;
    #[cfg(feature = "provider")]
    portcullis::testing::hub_store_conformance(&store).await;
}

async fn check(store: &dyn TokenStore) {
    store_conformance(store).await;
}
