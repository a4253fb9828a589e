//! The table of codes: one row per code, its status beside it, a constructor made from each row.
//!
//! Invariant: a code is written here and in `docs/api.md`, nowhere else; the test compares the two.
//! Deliberately absent: codes of single readings inside a batch and websocket close codes.

use super::Problem;

macro_rules! codes {
    ($($status:literal: $($code:ident)+;)+) => {
        /// Every code with its status.
        pub const CODES: &[(&str, u16)] = &[$($((stringify!($code), $status),)+)+];

        impl Problem {
            $($(
                #[doc = concat!("`", stringify!($code), "`, status ", stringify!($status), ".")]
                pub fn $code(detail: impl Into<String>) -> Self {
                    Self::with_code(stringify!($code), $status, detail.into())
                }
            )+)+
        }
    };
}

codes! {
    400: malformed_json malformed_request malformed_cursor;
    401: token_missing token_invalid token_expired;
    403: role_not_allowed lot_not_allowed;
    404: not_found lot_not_found slot_not_found reservation_not_found session_not_found payment_not_found
         tariff_not_found violation_not_found pass_not_found waiting_not_found shift_not_found;
    405: method_not_allowed;
    406: not_acceptable;
    409: slot_taken no_slot_free slot_out_of_service hold_expired reservation_ended lot_code_taken
         id_taken request_in_progress too_many_reservations backup_in_progress session_ended
         vehicle_inside nothing_owed payment_ended tariffs_full violation_ended violations_full
         pass_ended passes_full slot_free waiting_ended waiting_full too_many_waiting payment_in_progress payments_full shift_closed shift_open shifts_full
         lot_paused lot_closed change_too_late;
    410: events_pruned;
    412: version_mismatch;
    413: body_too_large;
    415: unsupported_media_type;
    422: validation_failed idempotency_key_reused not_counted reading_in_future window_in_past
         window_too_long window_empty no_slot_fits observed_too_long_ago amount_not_owed
         discount_unknown unpriceable too_many_occurrences search_too_wide;
    429: too_many_requests;
    500: internal;
    503: overloaded storage_full outcome_unknown shutting_down provider_unavailable;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const API: &str = include_str!("../../../docs/api.md");

    /// `(code, status)` of every row of the errors table: `| 405, 406 | `a`, `b` |` pairs by position.
    fn documented() -> BTreeSet<(String, u16)> {
        let section = API.split("\n## Errors").nth(1).expect("docs/api.md has `## Errors`");
        let section = section.split("\n## ").next().expect("a split has a first part");
        let mut found = BTreeSet::new();
        for row in section.lines().filter(|line| line.starts_with("| ")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let statuses: Vec<u16> = cells[0].split(", ").filter_map(|s| s.parse().ok()).collect();
            // What follows `with` names a header or a member, not a code.
            let codes = cells[1].split("with ").next().expect("a split has a first part");
            let codes: Vec<&str> = codes.split('`').skip(1).step_by(2).collect();
            for (position, code) in codes.iter().enumerate() {
                let status = statuses.get(position).filter(|_| statuses.len() > 1);
                let status =
                    *status.unwrap_or_else(|| statuses.last().expect("a row has a status"));
                found.insert(((*code).to_owned(), status));
            }
        }
        found
    }

    #[test]
    fn docs_list_exactly_these_codes() {
        let written: BTreeSet<(String, u16)> =
            CODES.iter().map(|(code, status)| ((*code).to_owned(), *status)).collect();
        assert_eq!(written.len(), CODES.len(), "a code appears twice");
        let documented = documented();
        let missing: Vec<_> = written.difference(&documented).collect();
        let extra: Vec<_> = documented.difference(&written).collect();
        assert!(missing.is_empty(), "not in docs/api.md: {missing:?}");
        assert!(extra.is_empty(), "only in docs/api.md: {extra:?}");
    }

    #[test]
    fn every_status_has_a_title() {
        for (code, status) in CODES {
            let problem = Problem::with_code(code, *status, String::new());
            assert_eq!(problem.status.as_u16(), *status, "{code}");
            assert_ne!(problem.title, "Error", "{code}");
        }
    }
}
