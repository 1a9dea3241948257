//! Where the tests of second factors begin: a user who is signed in, and what such a user does.

use super::*;

/// A user in a world, signed in.
pub(super) struct User<'a> {
    pub(super) world: &'a World,
    pub(super) id: UserId,
    pub(super) session: SessionId,
    pub(super) token: SessionToken,
    pub(super) origin: Origin,
}

impl<'a> User<'a> {
    pub(super) async fn set_up(world: &'a World) -> Self {
        let user = Self::outside(world).await;
        user.join().await;
        user
    }

    /// One who belongs to no organization.
    pub(super) async fn outside(world: &'a World) -> Self {
        let id = UserId::new(NOW, entropy::for_id());
        let insert = Sql::new(
            "INSERT INTO users (id, email, email_key, password_hash, created_at) VALUES ({}, {}, {}, '', {})",
        );
        let insert = insert.bind(id.as_bytes()).bind(id.to_string());
        world.write(insert.bind(id.to_string()).bind(NOW)).await;
        let (session, token) = world.begin_session(id, None).await;
        let origin = Origin {
            actor: Actor::User(id),
            address: None,
        };
        Self {
            world,
            id,
            session,
            token,
            origin,
        }
    }

    pub(super) async fn join(&self) {
        let insert = Sql::new(
            "INSERT INTO members (organization_id, user_id, role, created_at) VALUES ({}, {}, 'owner', {})",
        );
        let insert = insert
            .bind(self.world.organization.as_bytes())
            .bind(self.id.as_bytes());
        self.world.write(insert.bind(NOW)).await;
    }

    pub(super) async fn propose(&self, id: [u8; 16], now: Timestamp) {
        let proposal = Proposal {
            id,
            sealed: b"sealed".to_vec(),
        };
        let store = &self.world.store;
        store
            .propose_second_factor(self.id, self.session, &proposal, now)
            .await
            .unwrap();
    }

    pub(super) fn changer<'b>(&'b self, token: &'b SessionToken) -> Changer<'b> {
        Changer {
            user: self.id,
            session: self.session,
            token,
            origin: &self.origin,
            now: NOW,
        }
    }

    pub(super) async fn confirm(&self, proposal: [u8; 16]) -> bool {
        let (store, changer) = (&self.world.store, self.changer(&self.token));
        store
            .confirm_second_factor(&changer, proposal, STEP, &CODES, Vec::new())
            .await
            .unwrap()
    }

    pub(super) async fn with_factor(self) -> Self {
        self.propose(SECRET, NOW).await;
        assert!(self.confirm(SECRET).await);
        self
    }

    pub(super) async fn take(&self, proof: Proof) -> Option<Taken> {
        take_on(&self.world.store, self, proof).await
    }

    pub(super) async fn turn_off(&self) -> TurnedOff {
        let (store, changer) = (&self.world.store, self.changer(&self.token));
        store.turn_second_factor_off(&changer).await.unwrap()
    }

    pub(super) async fn membership(&self) -> Membership {
        let found = self
            .world
            .store
            .membership(self.id, self.world.organization)
            .await;
        found.unwrap().unwrap()
    }

    pub(super) async fn require(&self, required: bool) -> Requiring {
        let scope = self.membership().await.scope;
        let store = &self.world.store;
        let done = store.require_second_factor(scope, self.id, required, &self.origin, NOW);
        done.await.unwrap()
    }
}

pub(super) async fn take_on(store: &Store, user: &User<'_>, proof: Proof) -> Option<Taken> {
    let writes = vec![sessions::note_code(user.session, NOW)];
    let taken = store.take_code(user.id, proof, writes, Vec::new(), &user.origin, NOW);
    taken.await.unwrap()
}
