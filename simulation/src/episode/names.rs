//! What a step is called in the tally.

use lotkeeper_engine::lot::session::{DenyReason, OpenReason, Verdict};
use lotkeeper_engine::lot::{Command, Outcome, StayChange, ViolationChange, provider, shift};

pub(super) fn name(command: &Command, granted: Option<&Outcome>) -> &'static str {
    match (command, granted.is_some()) {
        (Command::Reserve(_), true) => "granted.reserve",
        (Command::Confirm { .. }, true) => "granted.confirm",
        (Command::Modify { request: Some(_), .. }, true) => "granted.request",
        (Command::Modify { .. }, true) => "granted.modify",
        (Command::Cancel { .. }, true) => "granted.cancel",
        (Command::Count { .. }, true) => "granted.count",
        (Command::ChangeSlot { .. }, true) => "granted.change_slot",
        (Command::ChangeLot { .. }, true) => "granted.change_lot",
        (Command::Tick { .. }, _) => "granted.tick",
        (Command::ReserveSeries(_), true) => "granted.series",
        (Command::Scan(_), true) => scanned(granted),
        (Command::ChangeStay { change: StayChange::Request(_), .. }, true) => {
            "granted.request_of_stay"
        }
        (Command::ChangeStay { .. }, true) => "granted.change_stay",
        (Command::Pay(_), true) => "granted.pay",
        (Command::StepPayment { .. }, true) => "granted.step_payment",
        (Command::ChangeTariffs(_), _) => "granted.change_tariffs",
        (Command::ReserveSeries(_), false) => "refused.series",
        (Command::Scan(_), false) => "refused.scan",
        (Command::ChangeStay { .. }, false) => "refused.change_stay",
        (Command::Pay(_), false) => "refused.pay",
        (Command::StepPayment { .. }, false) => "refused.step_payment",
        (Command::Provider(command), true) => match **command {
            provider::Command::Authorise(_) => "granted.authorise",
            provider::Command::Ask { .. } => "granted.ask_provider",
            provider::Command::Answered { .. } => "granted.provider_answered",
        },
        (Command::Shift(command), true) => match **command {
            shift::Command::Open(_) => "granted.open_shift",
            shift::Command::Close { .. } => "granted.close_shift",
            shift::Command::HandOut { .. } => "granted.hand_out",
        },
        (Command::IssuePass { .. }, true) => "granted.issue_pass",
        (Command::ChangePass { .. }, true) => "granted.change_pass",
        (Command::JoinWaiting { .. }, true) => "granted.join_waiting",
        (Command::LeaveWaiting { .. }, true) => "granted.leave_waiting",
        (Command::Report(_), true) => "granted.report",
        (Command::ChangeViolation { change, .. }, true) => match change {
            ViolationChange::Amend { .. } => "granted.amend_violation",
            ViolationChange::Notify => "granted.notify",
            ViolationChange::Appeal { .. } => "granted.appeal",
            ViolationChange::Waive { .. } => "granted.waive",
            ViolationChange::Resolve { .. } => "granted.resolve",
        },
        (Command::Provider(_), false) => "refused.provider",
        (Command::Shift(_), false) => "refused.shift",
        (Command::IssuePass { .. } | Command::ChangePass { .. }, false) => "refused.pass",
        (Command::JoinWaiting { .. } | Command::LeaveWaiting { .. }, false) => "refused.waiting",
        (Command::Report(_) | Command::ChangeViolation { .. }, false) => "refused.violation",
        (Command::FollowPass { .. }, _) => "granted.follow_pass",
        (Command::Look(_), _) => "not_played",
        (Command::Reserve(_), false) => "refused.reserve",
        (Command::Confirm { .. }, false) => "refused.confirm",
        (Command::Modify { .. }, false) => "refused.modify",
        (Command::Cancel { .. }, false) => "refused.cancel",
        (Command::Count { .. }, false) => "refused.count",
        (Command::ChangeSlot { .. }, false) => "refused.change_slot",
        (Command::ChangeLot { .. }, false) => "refused.change_lot",
    }
}

/// What a gate said, by its reason.
fn scanned(granted: Option<&Outcome>) -> &'static str {
    let Some(Outcome::Scanned(scanned)) = granted else { return "gate.nothing" };
    match scanned.verdict {
        Verdict::Open(OpenReason::Reserved) => "gate.reserved",
        Verdict::Open(OpenReason::DriveIn) => "gate.drive_in",
        Verdict::Open(OpenReason::Repeated) => "gate.repeated",
        Verdict::Open(OpenReason::Paid) => "gate.paid",
        Verdict::Open(OpenReason::OnAccount) => "gate.on_account",
        Verdict::Open(OpenReason::Pass) => "gate.pass",
        Verdict::Deny(reason) => match reason {
            DenyReason::CredentialUnknown => "gate.credential_unknown",
            DenyReason::TooEarly => "gate.too_early",
            DenyReason::TooLate => "gate.too_late",
            DenyReason::NotConfirmed => "gate.not_confirmed",
            DenyReason::HoldExpired => "gate.hold_expired",
            DenyReason::Cancelled => "gate.cancelled",
            DenyReason::AlreadyInside => "gate.already_inside",
            DenyReason::AlreadyUsed => "gate.already_used",
            DenyReason::PlateInside => "gate.plate_inside",
            DenyReason::NotEntitled => "gate.not_entitled",
            DenyReason::LotFull => "gate.lot_full",
            DenyReason::PaymentRequired => "gate.payment_required",
            DenyReason::NotInside => "gate.not_inside",
            DenyReason::AlreadyLeft => "gate.already_left",
            DenyReason::ConfidenceTooLow => "gate.confidence_too_low",
            DenyReason::PlateElsewhere => "gate.plate_elsewhere",
            DenyReason::TokenInvalid
            | DenyReason::TokenExpired
            | DenyReason::WrongLot
            | DenyReason::PassNotValid
            | DenyReason::LotClosed => "gate.refused",
        },
    }
}
