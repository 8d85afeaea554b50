//! Who calls the API: the owner of a token, or of a login.

use std::sync::Arc;

use http::{Method, StatusCode, header::AUTHORIZATION};

use super::{
    call::Call,
    client::{Client, Resource},
    expanded::Expanded,
    member::Member,
    scope::Owner,
    shared::Shared,
    told::Trouble,
};
use crate::{
    authenticate::token_in_authorization,
    denial::{Denial, Reason},
    gate::login_cookie::binding,
    guard::{RequestKind, XsrfProof},
    store::TokenRecord,
    token::PresentedToken,
};

/// Who calls the API, and what they may do by the credential they showed.
pub(crate) struct Caller {
    pub(crate) who: Who,
    pub(crate) held: Expanded,
    pub(crate) token_id: Option<String>,
    pub(crate) session_id: Option<String>,
}

/// Whose credential it was.
pub(crate) enum Who {
    Member(Arc<Member>),
    Service(Box<str>),
}

impl Caller {
    /// Whether a token of `name` made by this caller may be worth all that its owner may do: a token of less must not
    /// make itself more.
    pub(crate) fn may_hand_on_all(&self, owner: &Member, all: &Expanded, hub: &Shared) -> bool {
        match &self.who {
            Who::Member(member) if member.name() == owner.name() => self.held.covers_all(all, &hub.members),
            // To whom the tokens of others were given, all of these others were given.
            _ => true,
        }
    }
}

impl Call<'_> {
    /// Who calls, or nobody.
    pub(crate) async fn caller(&self) -> Result<Option<Caller>, Trouble> {
        let mut fields = self.head.headers().get_all(AUTHORIZATION).iter();
        if let Some(field) = fields.next() {
            if fields.next().is_some() {
                return Err(Denial::new(Reason::Malformed)
                    .with_detail("more than one Authorization field")
                    .into());
            }
            if let Some(token) = token_in_authorization(field.as_bytes())?
                && let Some(caller) = self.of_token(token).await?
            {
                return Ok(Some(caller));
            }
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
        let proof = XsrfProof::new(&self.hub.xsrf_guard, binding, None);
        self.hub
            .guards
            .cross_site(&self.surroundings, self.head, kind, Some(&proof))?;
        Ok(Some(Caller {
            held: visitor.held(),
            who: Who::Member(visitor.member),
            token_id: None,
            session_id: None,
        }))
    }

    /// Who calls.
    pub(crate) async fn known_caller(&self) -> Result<Caller, Trouble> {
        let missing = || Trouble::new(StatusCode::FORBIDDEN, "Missing or invalid credentials.");
        self.caller().await?.ok_or_else(missing)
    }

    async fn of_token(&self, token: PresentedToken<'_>) -> Result<Option<Caller>, Trouble> {
        if let Some(client) = self.hub.registry.of_token(token) {
            return Ok(self.of_client(client));
        }
        let record = self.hub.tokens.find(token).await?;
        let record = record.filter(|record| !record.has_expired(self.head.now()));
        Ok(record.and_then(|record| self.of_record(&record)))
    }

    fn of_client(&self, client: &Client) -> Option<Caller> {
        let members = &self.hub.members;
        let (who, held) = match &client.resource {
            Resource::Service { name } => {
                let held = Expanded::of(client.scopes.iter(), Owner::Service(name));
                (Who::Service(name.clone()), held)
            }
            Resource::Server { user, .. } => {
                let member = members.find(user.as_str())?;
                let owner = Owner::User(user.as_str());
                let held = Expanded::of(client.scopes.iter(), owner).and_identify(owner);
                let held = held.common(&Expanded::of_member(&member), members);
                (Who::Member(member), held)
            }
        };
        Some(Caller {
            who,
            held,
            token_id: Some(format!("client-{}", client.id)),
            session_id: None,
        })
    }

    fn of_record(&self, record: &TokenRecord) -> Option<Caller> {
        // So are the owners of tokens called that were a service's at a JupyterHub.
        if let Some(name) = record.owner().strip_prefix("services/") {
            let client = self.hub.registry.of_service(name)?;
            let (all, scopes) = (self.of_client(client)?, record.grant().scopes());
            let held = Expanded::of(scopes.iter(), Owner::Service(name)).common(&all.held, &self.hub.members);
            return Some(Caller {
                held: if scopes.holds("inherit") { all.held } else { held },
                token_id: Some(format!("a{}", record.id())),
                ..all
            });
        }
        let member = self.hub.members.find(record.owner())?;
        let held = self.worth(record, &member)?;
        Some(Caller {
            who: Who::Member(member),
            held,
            token_id: Some(format!("a{}", record.id())),
            session_id: record.session_id().map(str::to_owned),
        })
    }

    /// What a token of this member is worth now, or `None` if it was made for a client that is no more.
    pub(crate) fn worth(&self, record: &TokenRecord, member: &Member) -> Option<Expanded> {
        let (members, owner) = (&self.hub.members, Owner::User(member.name()));
        let all = Expanded::of_member(member);
        let scopes = record.grant().scopes();
        if scopes.holds("inherit") && record.client_id().is_none_or(is_own) {
            return Some(all);
        }
        let mut held = Expanded::of(scopes.iter(), owner).and_identify(owner);
        if let Some(id) = record.client_id().filter(|id| !is_own(id)) {
            held = held.and(&self.hub.registry.find(id)?.resource.access_scope());
        }
        Some(held.common(&all, members))
    }
}

/// Whether a token with this client was made by its owner: JupyterHub calls itself the client then.
pub(crate) fn is_own(client_id: &str) -> bool {
    client_id == "jupyterhub"
}
