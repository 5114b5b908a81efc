// What an operator does: a button opens a dialog that names the consequence and asks for a reason.
import { refresh } from "./live.js";

const dialog = document.getElementById("action");

async function send(url, reason) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    credentials: "same-origin",
    body: JSON.stringify({ reason }),
  });
  if (response.ok) return "";
  try {
    return (await response.json()).detail ?? `refused (${response.status})`;
  } catch {
    return `refused (${response.status})`;
  }
}

function open(button) {
  dialog.querySelector("[data-title]").textContent = button.dataset.title;
  dialog.querySelector("[data-consequence]").textContent = button.dataset.consequence;
  dialog.querySelector("[data-trouble]").textContent = "";
  const confirm = dialog.querySelector("[data-confirm]");
  confirm.textContent = button.dataset.title;
  confirm.className = button.classList.contains("danger") ? "danger" : "primary";
  dialog.dataset.url = button.dataset.action;
  dialog.showModal();
  dialog.querySelector("textarea").focus();
}

document.querySelector("[data-logout]")?.addEventListener("click", async () => {
  const headers = { "content-type": "application/json" };
  await fetch("/logout", { method: "POST", headers, credentials: "same-origin", body: "{}" });
  location.assign("/login");
});

if (dialog) {
  // Buttons come and go with live updates: one listener for all.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (button) open(button);
  });
  dialog.querySelector("[data-cancel]").addEventListener("click", () => dialog.close());
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const trouble = dialog.querySelector("[data-trouble]");
    const confirm = dialog.querySelector("[data-confirm]");
    const reason = dialog.querySelector("textarea").value.trim().replace(/\s+/g, " ");
    if (!reason) {
      trouble.textContent = "A reason is needed: it is kept with the change.";
      return;
    }
    confirm.disabled = true;
    try {
      trouble.textContent = await send(dialog.dataset.url, reason);
    } catch {
      trouble.textContent = "The router cannot be reached; nothing is known to have changed.";
    }
    confirm.disabled = false;
    if (trouble.textContent) return;
    dialog.querySelector("textarea").value = "";
    dialog.close();
    await refresh();
  });
}
