// The tab's storage. Where it is full, what was to be kept there is in memory alone.

export function keep(key, text) {
  try {
    sessionStorage.setItem(key, text);
  } catch (error) {
    if (error.name !== "QuotaExceededError") throw error;
  }
}
