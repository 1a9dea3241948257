//! The vocabulary of payment events: providers, effect types, modes and an event's state.

/// A text that is none of the words allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of: {allowed}")]
pub struct WordError {
    /// The words allowed, joined by commas.
    pub allowed: &'static str,
}

/// Declares an enum whose variants are words of the API.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every one, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word on the wire and in the store.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::event::WordError;

            fn from_str(text: &str) -> Result<Self, $crate::event::WordError> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::event::WordError { allowed: $crate::event::joined!($($word),*) }),
                }
            }
        }
    )*};
}

/// Joins words with commas at compile time.
macro_rules! joined {
    ($first:literal $(, $rest:literal)*) => { concat!($first $(, ", ", $rest)*) };
}

pub(crate) use {joined, words};

words! {
    /// Whose payment event it is.
    Provider {
        /// Stripe.
        Stripe = "stripe",
        /// Shopify.
        Shopify = "shopify",
    }

    /// What the payment should have caused in the customer's system.
    EffectType {
        /// A customer gets access.
        AccessUnlock = "access_unlock",
        /// A balance goes up.
        CreditGrant = "credit_grant",
        /// The number of seats changes.
        SeatUpdate = "seat_update",
        /// A subscription's state is taken over.
        SubscriptionStateApply = "subscription_state_apply",
        /// A customer loses access.
        AccessRevocation = "access_revocation",
        /// A balance goes down.
        CreditDeduction = "credit_deduction",
    }

    /// Whether a project watches real money.
    Mode {
        /// Test payments; a new project starts so.
        Test = "test",
        /// Real payments.
        Live = "live",
    }

    /// What is known of the effect.
    EventState {
        /// No result yet. It stays so when its time is over; its incident tells.
        Pending = "pending",
        /// The effect was applied. Final.
        Succeeded = "succeeded",
        /// The effect failed; a later success still counts.
        Failed = "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_others_name_what_is_allowed() {
        for effect in EffectType::ALL {
            assert_eq!(effect.as_str().parse(), Ok(*effect));
        }
        let error = "paypal".parse::<Provider>().unwrap_err();
        assert_eq!(error.to_string(), "must be one of: stripe, shopify");
    }
}
