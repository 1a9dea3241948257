//! Who may invite whom, change whose role, and remove whom; and that an organization always has an owner.

use crate::access::Role;

/// Why a change of members is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The one who asks may not, by their role.
    #[error("Your role does not allow this: nobody may give, change or remove a role above their own.")]
    Rank,
    /// Nobody would be left who owns the organization.
    #[error("An organization needs an owner. Make somebody else an owner first.")]
    LastOwner,
}

/// What is stored of those whom a change is about, read under a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The role of the one who asks.
    pub actor: Role,
    /// The role of the one whom it is about, as it is.
    pub member: Role,
    /// How many owners the organization has.
    pub owners: u32,
}

/// Whether somebody of this role may change or remove a member of that one.
///
/// # Errors
/// [`Refusal::Rank`].
pub fn manage(actor: Role, member: Role) -> Result<(), Refusal> {
    if actor >= Role::Admin && member <= actor {
        Ok(())
    } else {
        Err(Refusal::Rank)
    }
}

/// Whether somebody of this role may invite somebody as that one, or make a member that.
///
/// # Errors
/// [`Refusal::Rank`].
pub fn invite(actor: Role, role: Role) -> Result<(), Refusal> {
    manage(actor, role)
}

/// The roles that somebody of this role may give, the lowest first.
pub fn to_give(actor: Role) -> impl Iterator<Item = Role> {
    let roles = Role::ALL.iter().copied();
    roles.filter(move |role| invite(actor, *role).is_ok())
}

impl Standing {
    /// Whether the member's role may become this one.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn change_to(self, role: Role) -> Result<(), Refusal> {
        manage(self.actor, self.member)?;
        invite(self.actor, role)?;
        if role < Role::Owner {
            self.spares_an_owner()
        } else {
            Ok(())
        }
    }

    /// Whether the member may be removed.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn remove(self) -> Result<(), Refusal> {
        manage(self.actor, self.member)?;
        self.spares_an_owner()
    }

    /// Whether the member may leave by their own will, whatever their role.
    ///
    /// # Errors
    /// [`Refusal::LastOwner`].
    pub fn leave(self) -> Result<(), Refusal> {
        self.spares_an_owner()
    }

    fn spares_an_owner(self) -> Result<(), Refusal> {
        if self.member == Role::Owner && self.owners < 2 {
            Err(Refusal::LastOwner)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing(actor: Role, member: Role, owners: u32) -> Standing {
        Standing {
            actor,
            member,
            owners,
        }
    }

    /// Whom each role may change and remove, and the roles that it may give them.
    const MAY: [(Role, &[Role]); 4] = [
        (Role::Viewer, &[]),
        (Role::Operator, &[]),
        (Role::Admin, &[Role::Viewer, Role::Operator, Role::Admin]),
        (
            Role::Owner,
            &[Role::Viewer, Role::Operator, Role::Admin, Role::Owner],
        ),
    ];

    #[test]
    fn nobody_below_an_admin_changes_members_and_nobody_reaches_above_their_own_role() {
        for (actor, reached) in MAY {
            assert_eq!(to_give(actor).collect::<Vec<_>>(), reached, "{actor}");
            for member in Role::ALL.iter().copied() {
                let may = reached.contains(&member);
                assert_eq!(manage(actor, member).is_ok(), may, "{actor} manages {member}");
                assert_eq!(invite(actor, member).is_ok(), may, "{actor} invites {member}");
                let removed = standing(actor, member, 2).remove();
                assert_eq!(removed.is_ok(), may, "{actor} removes {member}");
                for role in Role::ALL.iter().copied() {
                    let changed = standing(actor, member, 2).change_to(role);
                    let may = may && reached.contains(&role);
                    assert_eq!(changed.is_ok(), may, "{actor} makes {member} {role}");
                }
            }
        }
    }

    #[test]
    fn the_last_owner_cannot_leave_be_removed_or_demoted() {
        let last = standing(Role::Owner, Role::Owner, 1);
        assert_eq!(last.leave(), Err(Refusal::LastOwner));
        assert_eq!(last.remove(), Err(Refusal::LastOwner));
        assert_eq!(last.change_to(Role::Admin), Err(Refusal::LastOwner));
        assert_eq!(last.change_to(Role::Owner), Ok(()));
        assert_eq!(standing(Role::Viewer, Role::Viewer, 1).leave(), Ok(()));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Change(usize, usize, Role),
        Remove(usize, usize),
        Leave(usize),
    }

    fn role() -> impl Strategy<Value = Role> {
        proptest::sample::select(Role::ALL)
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..4_usize, 0..4_usize, role()).prop_map(|(a, m, role)| Step::Change(a, m, role)),
            (0..4_usize, 0..4_usize).prop_map(|(a, m)| Step::Remove(a, m)),
            (0..4_usize).prop_map(Step::Leave),
        ]
    }

    proptest! {
        #[test]
        fn whatever_members_do_an_owner_is_left(steps in proptest::collection::vec(step(), 0..40)) {
            let mut members = [Some(Role::Owner), Some(Role::Owner), Some(Role::Admin), Some(Role::Viewer)];
            for step in steps {
                let owners = members.iter().filter(|role| **role == Some(Role::Owner)).count();
                let (actor, member) = match &step {
                    Step::Change(actor, member, _) | Step::Remove(actor, member) => (*actor, *member),
                    Step::Leave(member) => (*member, *member),
                };
                let (Some(actor), Some(role)) = (members[actor], members[member]) else { continue };
                let standing = standing(actor, role, u32::try_from(owners).unwrap());
                match step {
                    Step::Change(_, _, to) if standing.change_to(to).is_ok() => members[member] = Some(to),
                    Step::Remove(..) if standing.remove().is_ok() => members[member] = None,
                    Step::Leave(_) if standing.leave().is_ok() => members[member] = None,
                    _ => {}
                }
                prop_assert!(members.contains(&Some(Role::Owner)));
            }
        }
    }
}
