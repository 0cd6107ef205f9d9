// Requests to the server. Errors carry the server's own sentence.
const token = new URLSearchParams(location.search).get("token");
export class Problem extends Error {
  constructor(kind, message, status) { super(message); this.kind = kind; this.status = status; }
}
function headers(more = {}) {
  return token ? { Authorization: `Bearer ${token}`, ...more } : more;
}
async function checked(answer) {
  if (answer.ok) return answer;
  let told = { error: "Error", message: `${answer.status} ${answer.statusText}` };
  try { told = await answer.json(); } catch { /* not JSON: keep the status line */ }
  throw new Problem(told.error, told.message, answer.status);
}
export async function get(path) {
  return (await checked(await fetch(path, { headers: headers() }))).json();
}
export async function send(path, body, method = "POST") {
  const json = headers({ "Content-Type": "application/json" });
  return (await checked(await fetch(path, { method, headers: json, body: JSON.stringify(body) }))).json();
}
export async function bytes(path, body) {
  const json = headers({ "Content-Type": "application/json" });
  return (await checked(await fetch(path, { method: "POST", headers: json, body: JSON.stringify(body) }))).arrayBuffer();
}
export async function fetched(path) {
  return (await checked(await fetch(path, { headers: headers() }))).arrayBuffer();
}
export async function upload(file) {
  const form = new FormData();
  form.append("file", file);
  return (await checked(await fetch("/v1/pieces", { method: "POST", headers: headers(), body: form }))).json();
}
// Start a verb and call `changed(job)` whenever it grows; resolves with the finished job.
export async function run(verb, body, changed, signal) {
  let job = await send(`/v1/${verb}?wait=0`, body);
  changed(job);
  const cancel = () => send(`/v1/jobs/${job.id}`, {}, "DELETE").catch(() => {});
  signal?.addEventListener("abort", cancel, { once: true });
  while (job.state === "queued" || job.state === "running") {
    job = await get(`/v1/jobs/${job.id}?wait=15`);
    changed(job);
  }
  if (job.problem) throw new Problem(job.problem.error, job.problem.message);
  return job;
}
export function socket(path) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return new WebSocket(`${scheme}://${location.host}${path}${token ? `?token=${encodeURIComponent(token)}` : ""}`);
}
