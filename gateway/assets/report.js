// The report of a violation as an action of a sheet, beside a stay or on its own. Absent: text about anybody; the log is
// kept, so kind and evidence are codes and addresses.
import { Problem, request } from "./api.js";
import { t } from "./dom.js";
import { AMOUNT, amountOf, CODE } from "./money.js";

const KINDS = ["wrong_slot_type", "no_session", "overstay", "expired_pass", "blocks_lane", "other"];
const EVIDENCE = "https://.+";

export function reporting(lot, { session, slot, vehicle }) {
  const currency = lot.currency ?? "EUR";
  const place = session ? [] : [
    { name: "slot", label: t("field.slot"), value: slot ?? "", max: 64 },
    { name: "plate", label: t("scan.plate"), value: vehicle?.plate ?? "", max: 20 },
  ];
  return {
    name: "report", label: t("violation.report"), ask: t("violation.report_ask"), yes: t("violation.report_yes"),
    fields: [
      { name: "kind", label: t("violation.kind"), options: KINDS.map((kind) => [kind, t(`violation.${kind}`)]), value: session ? "wrong_slot_type" : "no_session" },
      ...place,
      { name: "penalty", label: t("violation.penalty", { currency }), pattern: AMOUNT, mode: "decimal", max: 16 },
      { name: "evidence", label: t("violation.evidence"), pattern: `${EVIDENCE}|${CODE}`, hint: t("violation.evidence_hint"), max: 200 },
    ],
    act: (values, id) => {
      const body = { id, lot: lot.code, kind: values.kind };
      if (session) body.session = session;
      if (values.slot) body.slot = values.slot.trim();
      if (values.plate) body.vehicle = { plate: values.plate.trim() };
      if (values.penalty.trim()) body.penalty = amountOf(values.penalty, currency);
      if (values.evidence) body.evidence = [{ kind: values.evidence.startsWith("https://") ? "photo" : "note", reference: values.evidence.trim() }];
      if (!body.session && !body.slot && !body.vehicle) throw new Problem(422, "validation_failed", t("violation.where"));
      return request("/violations", { method: "POST", body });
    },
    said: () => t("violation.reported"),
  };
}
