//! Who calls the API: the owner of a token, or of a login.

use std::sync::Arc;

use http::{Method, StatusCode, header::AUTHORIZATION};

use super::{
    client::{OAuthClientConfig, Resource},
    expanded_scopes::ExpandedScopes,
    request::HubRequest,
    response::HubError,
    scope::Owner,
    state::HubState,
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
    /// Whether a token of `name` made by this caller may be worth all that its owner may do: a token of less must not
    /// make itself more.
    pub(crate) fn may_delegate_all(&self, owner: &HubUser, all: &ExpandedScopes, hub: &HubState) -> bool {
        match &self.who {
            Principal::Member(member) if member.name() == owner.name() => {
                self.scopes.covers_all(all, &hub.members)
            }
            // To whom the tokens of others were given, all of these others were given.
            _ => true,
        }
    }
}

impl HubRequest<'_> {
    /// Who calls, or nobody.
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
            return Ok(self.of_client(client));
        }
        let record = self.hub.tokens.find(token).await?;
        let record = record.filter(|record| !record.is_expired(self.head.now()));
        Ok(record.and_then(|record| self.of_record(&record)))
    }

    fn of_client(&self, client: &OAuthClientConfig) -> Option<ApiCaller> {
        let members = &self.hub.members;
        let (who, held) = match &client.resource {
            Resource::Service { name } => {
                let held = ExpandedScopes::of(client.scopes.iter(), Owner::Service(name));
                (Principal::Service(name.clone()), held)
            }
            Resource::Server { user, .. } => {
                let member = members.find(user.as_str())?;
                let owner = Owner::User(user.as_str());
                let held = ExpandedScopes::of(client.scopes.iter(), owner).and_identify(owner);
                let held = held.intersection(&ExpandedScopes::of_member(&member), members);
                (Principal::Member(member), held)
            }
        };
        Some(ApiCaller {
            who,
            scopes: held,
            token_id: Some(format!("client-{}", client.id)),
            session_id: None,
        })
    }

    fn of_record(&self, record: &TokenRecord) -> Option<ApiCaller> {
        // So are the owners of tokens called that were a service's at a JupyterHub.
        if let Some(name) = record.owner().strip_prefix("services/") {
            let client = self.hub.registry.of_service(name)?;
            let (all, scopes) = (self.of_client(client)?, record.grant().scopes());
            let held = ExpandedScopes::of(scopes.iter(), Owner::Service(name))
                .intersection(&all.scopes, &self.hub.members);
            return Some(ApiCaller {
                scopes: if scopes.contains("inherit") {
                    all.scopes
                } else {
                    held
                },
                token_id: Some(format!("a{}", record.id())),
                ..all
            });
        }
        let member = self.hub.members.find(record.owner())?;
        let held = self.effective_scopes(record, &member)?;
        Some(ApiCaller {
            who: Principal::Member(member),
            scopes: held,
            token_id: Some(format!("a{}", record.id())),
            session_id: record.session_id().map(str::to_owned),
        })
    }

    /// What a token of this member is worth now, or `None` if it was made for a client that is no more.
    pub(crate) fn effective_scopes(&self, record: &TokenRecord, member: &HubUser) -> Option<ExpandedScopes> {
        let (members, owner) = (&self.hub.members, Owner::User(member.name()));
        let all = ExpandedScopes::of_member(member);
        let scopes = record.grant().scopes();
        if scopes.contains("inherit") && record.client_id().is_none_or(is_own) {
            return Some(all);
        }
        let mut held = ExpandedScopes::of(scopes.iter(), owner).and_identify(owner);
        if let Some(id) = record.client_id().filter(|id| !is_own(id)) {
            held = held.and(&self.hub.registry.find(id)?.resource.access_scope());
        }
        Some(held.intersection(&all, members))
    }
}

/// Whether a token with this client was made by its owner: JupyterHub calls itself the client then.
pub(crate) fn is_own(client_id: &str) -> bool {
    client_id == "jupyterhub"
}
