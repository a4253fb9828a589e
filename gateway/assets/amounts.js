// Money, fees and times in the words of the page's language. Amounts are whole minor units: how many digits a currency
// has is known by Intl. Absent: arithmetic with money, which is the server's.
import { h, t } from "./dom.js";
const { i18n } = window.lotkeeper;

export function money({ amount, currency }) {
  const format = new Intl.NumberFormat(i18n.lang, { style: "currency", currency });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

export const isOwed = (due) => !!due && due.amount > 0;

export function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60), minutes % 60];
  const parts = [[days, "days"], [hours, "hours"], [rest, "minutes"]].filter(([count]) => count);
  return parts.map(([n, unit]) => t(`amount.${unit}`, { n })).join(" ") || t("amount.minutes", { n: 0 });
}

// Codes are told where a kind alone would leave open which one it is.
function lineText(line, lines) {
  const kind = i18n.has(`line.${line.kind}`) ? t(`line.${line.kind}`) : line.kind;
  const several = lines.filter((one) => one.kind === line.kind).length > 1;
  const count = line.seconds ? duration(line.seconds) : line.quantity > 1 ? `${line.quantity} ×` : "";
  return [kind, several && line.code, count].filter(Boolean).join(" · ");
}

// A fee as a table whose last row is the total; what is contained in the total is said below it.
export function feeTable(fee) {
  const { currency } = fee.total;
  const row = (text, amount, total) => h("tr", { class: total && "total" }, h("th", { scope: "row" }, text), h("td", { class: "number" }, money({ amount, currency })));
  const lines = fee.lines.filter((line) => line.amount !== 0 || fee.lines.length === 1);
  const table = h("table", { class: "fee" }, h("tbody", {}, ...lines.map((line) => row(lineText(line, lines), line.amount)), row(t("line.total"), fee.total.amount, true)));
  const tax = fee.tax_included && fee.tax ? h("p", { class: "quiet" }, t("line.tax_included", { tax: money({ amount: fee.tax, currency }) })) : null;
  return h("div", {}, table, tax);
}

function format(options, zone) {
  try { return new Intl.DateTimeFormat(i18n.lang, { ...options, timeZone: zone || undefined }); }
  catch { return new Intl.DateTimeFormat(i18n.lang, options); } // a zone this browser does not know
}
const HOUR = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY = { weekday: "short", day: "numeric", month: "short" };

export const hour = (at, zone) => format(HOUR, zone).format(new Date(at));
const day = (at, zone) => format(DAY, zone).format(new Date(at));

// The day is left out where it is today's.
export function moment(at, zone) {
  return day(at, zone) === day(Date.now(), zone) ? hour(at, zone) : `${day(at, zone)}, ${hour(at, zone)}`;
}

export function span(from, to, zone) {
  const end = day(from, zone) === day(to, zone) ? hour(to, zone) : `${day(to, zone)}, ${hour(to, zone)}`;
  const begin = day(from, zone) === day(to, zone) && day(from, zone) === day(Date.now(), zone) ? hour(from, zone) : `${day(from, zone)}, ${hour(from, zone)}`;
  return `${begin} – ${end}`;
}

// Whether clocks at the lot show something else than those of this device.
export const isElsewhere = (at, zone) => !!zone && hour(at, zone) !== hour(at);
