// Talking to the server: every request carries the token of the page's address.

export const token = new URLSearchParams(location.search).get("token") ?? "";

export class Refused extends Error {
  constructor(status, body) {
    super(body?.message ?? `status ${status}`);
    this.status = status;
    this.body = body;
  }
}

async function ask(method, path, body) {
  const options = { method, headers: { "X-Token": token }, signal: AbortSignal.timeout(60_000) };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(`api/${path}`, options).catch(() => {
    throw new Error("Connection lost: this could not be fetched.");
  });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null));
  return answer;
}

const slicePath = (index, slice) => `cases/${index}/slices/${slice}`;

export const readStudy = async () => (await ask("GET", "study")).json();
export const readCase = async (index) => (await ask("GET", `cases/${index}`)).json();
export const readPixels = async (index, slice) =>
  new Uint16Array(await (await ask("GET", slicePath(index, slice))).arrayBuffer());
export const saveSlice = async (index, slice, edit) => (await ask("PUT", slicePath(index, slice), edit)).json();
export const measure = async (index, objects) => (await ask("POST", `cases/${index}/numbers`, { objects })).json();
export const suggest = async (index, slice) => (await ask("GET", `${slicePath(index, slice)}/suggestion`)).json();
export const writeTable = async () => (await ask("POST", "export")).json();
// Label i + 1 is the object names[i] of those that were sent: by now there may be others.
export async function readRegion(index, objects) {
  const answer = await ask("POST", `cases/${index}/region`, { objects });
  const converged = answer.headers.get("X-Converged") === "true";
  return { labels: new Uint8Array(await answer.arrayBuffer()), names: Object.keys(objects), converged };
}
