//! Somebody whose token was good, and what he may do.
//!
//! Invariant: [`Role::may`] is the one place that says which role may do what; a new role or access does
//! not compile until it is decided. Absent: ownership (drivers see their own things: the handlers' part).

use std::sync::Arc;

use lotkeeper_actors::LotHandle;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{By, JournalError, PersonKind, Role as LoggedRole, Vault};
use serde::{Deserialize, Serialize};

use crate::error::Problem;

/// What a token makes of its bearer.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Runs lots: creates and changes them, reads the log.
    Operator,
    /// Works in a lot: readings, counts, other people's reservations.
    Staff,
    /// Parks: reserves for himself.
    Driver,
    /// A sensor, camera or counter.
    Device,
    /// A sign: reads and streams.
    Display,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Any good token: reads and streams.
    Any,
    /// Driver and up: reservations.
    Driver,
    /// A device, or staff and up: readings and counts.
    Device,
    /// Staff and up.
    Staff,
    /// Operator and up.
    Operator,
    /// Admin.
    Admin,
}

impl Role {
    /// All roles, the mightiest first.
    pub const ALL: [Self; 6] =
        [Self::Admin, Self::Operator, Self::Staff, Self::Driver, Self::Device, Self::Display];

    /// Whether the role may do what needs `access`.
    #[must_use]
    pub fn may(self, access: Access) -> bool {
        match access {
            Access::Any => true,
            Access::Driver => self.rank() >= Self::Driver.rank(),
            Access::Device => self == Self::Device || self.rank() >= Self::Staff.rank(),
            Access::Staff => self.rank() >= Self::Staff.rank(),
            Access::Operator => self.rank() >= Self::Operator.rank(),
            Access::Admin => self == Self::Admin,
        }
    }

    /// Place in the order of people; devices and displays stand outside of it.
    fn rank(self) -> u8 {
        match self {
            Self::Admin => 4,
            Self::Operator => 3,
            Self::Staff => 2,
            Self::Driver => 1,
            Self::Device | Self::Display => 0,
        }
    }

    /// As in tokens and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Staff => "staff",
            Self::Driver => "driver",
            Self::Device => "device",
            Self::Display => "display",
        }
    }
}

impl From<Role> for LoggedRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::Operator => Self::Operator,
            Role::Staff => Self::Staff,
            Role::Driver => Self::Driver,
            Role::Device => Self::Device,
            Role::Display => Self::Display,
        }
    }
}

impl From<LoggedRole> for Role {
    fn from(role: LoggedRole) -> Self {
        match role {
            LoggedRole::Admin => Self::Admin,
            LoggedRole::Operator => Self::Operator,
            LoggedRole::Staff => Self::Staff,
            LoggedRole::Driver => Self::Driver,
            LoggedRole::Device => Self::Device,
            LoggedRole::Display => Self::Display,
        }
    }
}

impl Access {
    fn needs(self) -> &'static str {
        match self {
            Self::Any => "any token",
            Self::Driver => "role driver, staff, operator or admin",
            Self::Device => "role device, staff, operator or admin",
            Self::Staff => "role staff, operator or admin",
            Self::Operator => "role operator or admin",
            Self::Admin => "role admin",
        }
    }
}

/// Somebody whose token was good. Every request has a copy, so its texts are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who; clear text, which must not enter the journal.
    pub subject: Arc<str>,
    /// Of which operator.
    pub tenant: Arc<str>,
    /// As what.
    pub role: Role,
    /// Limited to these lots (codes or ids), when given.
    pub lots: Option<Arc<[String]>>,
    /// When the token ends: a stream closes then unless it is renewed.
    pub expires_at: Timestamp,
}

impl Principal {
    /// Refuses who may not.
    ///
    /// # Errors
    /// `role_not_allowed`.
    pub fn require(&self, access: Access) -> Result<(), Problem> {
        if self.role.may(access) {
            return Ok(());
        }
        let (role, needs) = (self.role.name(), access.needs());
        Err(Problem::role_not_allowed(format!("role {role} may not do this; it needs {needs}")))
    }

    /// As the log names who asks. Made for each request or batch: somebody who was erased in between must
    /// not be named by what was known of him before.
    ///
    /// # Errors
    /// The vault's disk.
    pub fn by(&self, vault: &dyn Vault) -> Result<By, JournalError> {
        let subject = vault.intern(&self.tenant, PersonKind::Subject, &self.subject)?;
        Ok(By { subject, role: self.role.into() })
    }

    /// Whether the token is good for this lot, named by code and id.
    #[must_use]
    pub fn may_use_lot(&self, code: &str, id: lotkeeper_engine::ids::LotId) -> bool {
        self.lots.as_ref().is_none_or(|lots| {
            let id = id.to_string();
            lots.iter().any(|lot| lot == code || *lot == id)
        })
    }

    /// Refuses a lot that the token is not for.
    ///
    /// # Errors
    /// `lot_not_allowed`.
    pub fn require_lot(&self, lot: &LotHandle) -> Result<(), Problem> {
        if self.may_use_lot(lot.code(), lot.id()) {
            return Ok(());
        }
        let code = lot.code();
        Err(Problem::lot_not_allowed(format!(
            "this token is not for lot {code}; ask for one that is"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lotkeeper_engine::ids::LotId;

    /// Rows are accesses, columns roles in the order of `Role::ALL`.
    #[test]
    fn roles_may_exactly_this() {
        for (access, may) in [
            (Access::Any, [true, true, true, true, true, true]),
            (Access::Driver, [true, true, true, true, false, false]),
            (Access::Device, [true, true, true, false, true, false]),
            (Access::Staff, [true, true, true, false, false, false]),
            (Access::Operator, [true, true, false, false, false, false]),
            (Access::Admin, [true, false, false, false, false, false]),
        ] {
            assert_eq!(Role::ALL.map(|role| role.may(access)), may, "{access:?}");
        }
    }

    #[test]
    fn the_log_names_a_role_as_the_token_does() {
        for role in Role::ALL {
            assert_eq!(Role::from(LoggedRole::from(role)), role);
            assert_eq!(format!("{role:?}"), format!("{:?}", LoggedRole::from(role)));
        }
    }

    #[test]
    fn lots_of_a_token_are_codes_or_ids() {
        let id = LotId(uuid::Uuid::from_u128(7));
        let limited = |lots: Option<Arc<[String]>>| Principal {
            subject: "s".into(),
            tenant: "default".into(),
            role: Role::Device,
            lots,
            expires_at: Timestamp::MAX,
        };
        assert!(limited(None).may_use_lot("L1", id));
        assert!(limited(Some(["L1".into()].into())).may_use_lot("L1", id));
        assert!(limited(Some([id.to_string()].into())).may_use_lot("L1", id));
        assert!(!limited(Some(["L2".into()].into())).may_use_lot("L1", id));
        assert!(!limited(Some([].into())).may_use_lot("L1", id));
    }
}
