// Money that staff take and give back, for stays and violations: as actions of a sheet. Amounts are typed in whole units
// of the currency and sent in its smallest. Absent: providers on the network, arithmetic of fees.
import { request } from "./api.js";
import { isOwed, money } from "./amounts.js";
import { h, t } from "./dom.js";
import { named } from "./desk.js";

const { session, i18n } = window.lotkeeper;
const SHIFT = "lotkeeper.console.shift";
export const CODE = "[A-Za-z0-9._~\\-]{1,64}";

const digits = (currency) => new Intl.NumberFormat(i18n.lang, { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
export const typed = ({ amount, currency }) => (amount / 10 ** digits(currency)).toFixed(digits(currency));

// Comma or point; nothing where it is no amount.
export function amountOf(text, currency) {
  const plain = text.trim().replace(",", ".");
  return /^\d{1,9}(\.\d{0,4})?$/.test(plain) ? { amount: Math.round(Number(plain) * 10 ** digits(currency)), currency } : null;
}
export const AMOUNT = "\\s*\\d{1,9}([.,]\\d{0,4})?\\s*";

// What is recorded is what the button said, though the clock goes on meanwhile.
export function paying(path, due) {
  if (!isOwed(due)) return [];
  const shift = { name: "shift", label: t("scan.shift"), value: session.device.get(SHIFT) ?? "", pattern: CODE, hint: t("desk.code_hint"), max: 64 };
  const pay = (method, further) => ({
    name: method, main: method === "cash", label: t(`desk.${method}`, { due: money(due) }), ask: t(`desk.${method}_ask`, { due: money(due) }), yes: t(`scan.${method}`),
    fields: [shift, ...further],
    act: (values, id) => {
      session.device.set(SHIFT, values.shift || null);
      const body = { id, method, amount: due, ...(values.shift && { shift: values.shift }), ...(values.reference && { reference: values.reference }) };
      return request(`${path}/payments`, { method: "POST", body });
    },
    said: () => t("desk.paid", { due: money(due) }),
  });
  return [pay("cash", []), pay("terminal", [{ name: "reference", label: t("desk.terminal_number"), max: 64 }])];
}

const left = (payment) => (["captured", "partly_refunded"].includes(payment.state) ? payment.amount.amount - payment.refunded.amount : 0);

export function refunding(payments) {
  return payments.filter((payment) => left(payment) > 0).map((payment) => {
    const rest = { amount: left(payment), currency: payment.amount.currency };
    return {
      name: `refund-${payment.id}`, label: t("desk.refund", { amount: money(rest), method: named("desk.method", payment.method) }), ask: t("desk.refund_ask"), yes: t("desk.refund_yes"),
      fields: [{ name: "amount", label: t("desk.amount", { currency: rest.currency }), value: typed(rest), required: true, pattern: AMOUNT, mode: "decimal" }],
      act: (values, id) => request(`/payments/${payment.id}/refund`, { method: "POST", body: { amount: amountOf(values.amount, rest.currency) }, headers: { "Idempotency-Key": id } }),
    };
  });
}

export const paymentsOf = async (path) => (await request(`${path}/payments`).catch(() => ({ json: { items: [] } }))).json.items;

export function paymentRows(payments) {
  return payments.map((payment) => h("div", { "data-payment": payment.state }, [`${money(payment.amount)} · ${named("desk.method", payment.method)}`, payment.refunded.amount ? t("desk.given_back", { amount: money(payment.refunded) }) : "", payment.shift].filter(Boolean).join(" · ")));
}
