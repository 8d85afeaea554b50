//! Who calls the API: the owner of a token, or of a login.

use std::sync::Arc;

use http::{Method, StatusCode, header::AUTHORIZATION};

use super::{
    client::{OAuthClientConfig, Resource},
    expanded_scopes::ExpandedScopes,
    members::RequestMembers,
    request::HubRequest,
    response::HubError,
    scope::Owner,
    user::HubUser,
};
use crate::{
    authenticate::token_in_authorization,
    denial::{Denial, Reason},
    middleware::cookies::binding,
    request_policy::{RequestCsrf, RequestKind},
    store::TokenRecord,
    token::PresentedToken,
};

/// Who calls the API, and what they may do by the credential they showed.
pub(crate) struct ApiCaller {
    pub(crate) who: Principal,
    pub(crate) scopes: ExpandedScopes,
    pub(crate) token_id: Option<String>,
    pub(crate) session_id: Option<String>,
}

/// Whose credential it was.
pub(crate) enum Principal {
    Member(Arc<HubUser>),
    Service(Box<str>),
}

impl ApiCaller {
    /// Whether this caller may create a token of `name` with all scopes of its owner: a token must not create one with
    /// more scopes than it has.
    pub(crate) async fn may_delegate_all(
        &self,
        owner: &HubUser,
        all: &ExpandedScopes,
        members: &RequestMembers<'_>,
    ) -> Result<bool, HubError> {
        match &self.who {
            Principal::Member(member) if member.name() == owner.name() => {
                Ok(self.scopes.covers_all(all, members).await?)
            }
            // A caller that may create tokens for other users may create them with all their scopes.
            _ => Ok(true),
        }
    }
}

impl HubRequest<'_> {
    /// The authenticated caller, if there is one.
    pub(crate) async fn caller(&self) -> Result<Option<ApiCaller>, HubError> {
        if let Some(caller) = self.token_owner().await? {
            return Ok(Some(caller));
        }
        let Some(visitor) = self.visitor().await?.known() else {
            return Ok(None);
        };
        let method = self.head.method();
        if *method == Method::POST && !self.content_type().starts_with("application/json") {
            // A form of another site could send this.
            return Ok(None);
        }
        let kind = match *method {
            Method::HEAD | Method::OPTIONS => RequestKind::Safe,
            _ => RequestKind::Unsafe,
        };
        let binding = binding(&visitor.session());
        let proof = RequestCsrf::new(&self.hub.xsrf_guard, binding, None);
        self.hub
            .guards
            .check_cross_site(&self.target, self.head, kind, Some(&proof))?;
        Ok(Some(ApiCaller {
            scopes: visitor.scopes(),
            who: Principal::Member(visitor.member),
            token_id: None,
            session_id: None,
        }))
    }

    /// The owner of the token in `Authorization`, if it has one that is known.
    pub(crate) async fn token_owner(&self) -> Result<Option<ApiCaller>, HubError> {
        let mut fields = self.head.headers().get_all(AUTHORIZATION).iter();
        let Some(field) = fields.next() else {
            return Ok(None);
        };
        if fields.next().is_some() {
            return Err(Denial::new(Reason::Malformed)
                .with_detail("more than one Authorization field")
                .into());
        }
        match token_in_authorization(field.as_bytes())? {
            Some(token) => self.of_token(token).await,
            None => Ok(None),
        }
    }

    /// Who calls.
    pub(crate) async fn require_caller(&self) -> Result<ApiCaller, HubError> {
        let missing = || HubError::new(StatusCode::FORBIDDEN, "Missing or invalid credentials.");
        self.caller().await?.ok_or_else(missing)
    }

    async fn of_token(&self, token: PresentedToken<'_>) -> Result<Option<ApiCaller>, HubError> {
        if let Some(client) = self.hub.registry.of_token(token) {
            return self.of_client(client).await;
        }
        let record = self.hub.tokens.find(token).await?;
        let good = |record: &TokenRecord| {
            !record.is_expired(self.head.now()) && self.hub.is_for_hub(record.resource())
        };
        let record = record.filter(good);
        match record {
            Some(record) => self.of_record(&record).await,
            None => Ok(None),
        }
    }

    async fn of_client(&self, client: &OAuthClientConfig) -> Result<Option<ApiCaller>, HubError> {
        let (who, held) = match &client.resource {
            // It has no token of its own.
            Resource::Application { .. } => return Ok(None),
            Resource::Service { name } => {
                let held = ExpandedScopes::of(client.scopes.iter(), Owner::Service(name));
                (Principal::Service(name.clone()), held)
            }
            Resource::Server { user, .. } => {
                let Some(member) = self.members.find(user.as_str()).await? else {
                    return Ok(None);
                };
                let owner = Owner::User(user.as_str());
                let held = ExpandedScopes::of(client.scopes.iter(), owner).and_identify(owner);
                let all = ExpandedScopes::of_member(&member);
                let held = held.intersection(&all, self.members).await?;
                (Principal::Member(member), held)
            }
        };
        Ok(Some(ApiCaller {
            who,
            scopes: held,
            token_id: Some(format!("client-{}", client.id)),
            session_id: None,
        }))
    }

    pub(crate) async fn of_record(&self, record: &TokenRecord) -> Result<Option<ApiCaller>, HubError> {
        // So are the owners of tokens called that were a service's at a JupyterHub.
        if let Some(name) = record.owner().strip_prefix("services/") {
            let Some(client) = self.hub.registry.of_service(name) else {
                return Ok(None);
            };
            let Some(all) = self.of_client(client).await? else {
                return Ok(None);
            };
            let scopes = record.grant().scopes();
            let held = ExpandedScopes::of(scopes.iter(), Owner::Service(name));
            let scopes = match scopes.contains("inherit") {
                true => all.scopes,
                false => held.intersection(&all.scopes, self.members).await?,
            };
            return Ok(Some(ApiCaller {
                scopes,
                token_id: Some(format!("a{}", record.id())),
                ..all
            }));
        }
        let Some(member) = self.members.find(record.owner()).await? else {
            return Ok(None);
        };
        let held = self.effective_scopes(record, &member).await?;
        Ok(held.map(|scopes| ApiCaller {
            who: Principal::Member(member),
            scopes,
            token_id: Some(format!("a{}", record.id())),
            session_id: record.session_id().map(str::to_owned),
        }))
    }

    /// The scopes of this member's token now, or `None` if it was issued to a client that no longer exists.
    pub(crate) async fn effective_scopes(
        &self,
        record: &TokenRecord,
        member: &HubUser,
    ) -> Result<Option<ExpandedScopes>, HubError> {
        let owner = Owner::User(member.name());
        let all = ExpandedScopes::of_member(member);
        let scopes = record.grant().scopes();
        if scopes.contains("inherit") && record.client_id().is_none_or(is_own) {
            return Ok(Some(all));
        }
        let mut held = ExpandedScopes::of(scopes.iter(), owner).and_identify(owner);
        if let Some(id) = record.client_id().filter(|id| !is_own(id)) {
            let Some(client) = self.client(id).await? else {
                return Ok(None);
            };
            if let Some(access) = client.resource.access_scope() {
                held = held.and(&access);
            }
        }
        Ok(Some(held.intersection(&all, self.members).await?))
    }
}

/// Whether a token with this client was made by its owner: JupyterHub calls itself the client then.
pub(crate) fn is_own(client_id: &str) -> bool {
    client_id == "jupyterhub"
}
