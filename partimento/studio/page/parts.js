// Small makers of elements; no text is ever taken for HTML.
export function make(tag, values = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(values)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.startsWith("aria")) element[name] = value;
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
export const button = (text, act, more = {}) => make("button", { type: "button", textContent: text, onclick: act, ...more });
export const field = (text, input, hint) => make("label", { className: "field" }, text, input, hint ? make("small", { textContent: hint }) : null);
export function section(title, ...children) {
  const id = `side-${title.replace(/\W/g, "")}`;
  return make("section", { "aria-labelledby": id }, make("h2", { id, textContent: title }), ...children);
}
// An input for one control of a model, from its JSON Schema: bounds, default and a word on it.
export function control(name, schema, value, change) {
  const kinds = schema.anyOf?.filter((each) => each.type !== "null") ?? [schema], kind = { ...schema, ...kinds[0] };
  const set = (given) => change(name, given);
  if (kind.enum) return field(name, make("select", { onchange: (event) => set(event.target.value) }, ...kind.enum.map((each) => make("option", { value: each, textContent: each, selected: each === value }))), kind.description);
  if (kind.type === "boolean") return make("label", { className: "field" }, make("span", {}, make("input", { type: "checkbox", checked: Boolean(value), onchange: (event) => set(event.target.checked) }), ` ${name}`), make("small", { textContent: kind.description ?? "" }));
  const low = kind.minimum ?? kind.exclusiveMinimum, high = kind.maximum ?? kind.exclusiveMaximum, whole = kind.type === "integer";
  const input = make("input", { type: "number", value: value ?? "", step: whole ? 1 : "any", "aria-label": name, onchange: (event) => set(event.target.value === "" ? undefined : Number(event.target.value)) });
  if (low !== undefined) input.min = low;
  if (high !== undefined) input.max = high;
  const bounds = low !== undefined && high !== undefined ? ` (${low} to ${high})` : "";
  return field(name, input, `${kind.description ?? ""}${bounds}`);
}
// Put other children into a place; the focus stays on the control at the same position.
export function renew(place, ...children) {
  const reachable = () => [...place.querySelectorAll("button, input, select, summary")];
  const at = reachable().indexOf(document.activeElement), open = [...place.querySelectorAll("details")].map((each) => each.open);
  place.replaceChildren(...children.filter(Boolean));
  place.querySelectorAll("details").forEach((each, i) => { if (open[i]) each.open = true; });
  if (at >= 0) reachable()[at]?.focus({ preventScroll: true });
}
// Hand bytes to the user as a file.
export function download(data, name) {
  const link = make("a", { href: URL.createObjectURL(new Blob([data])), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
