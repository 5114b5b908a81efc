// Shows the token once; from then on a cookie stands for it that no script can read.
const form = document.querySelector("form[data-login]");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const trouble = form.querySelector("[data-trouble]");
  try {
    const response = await fetch("/login", {
      method: "POST",
      headers: { "content-type": "application/json" },
      credentials: "same-origin",
      body: JSON.stringify({ token: form.querySelector("input").value.trim() }),
    });
    if (response.ok) location.assign("/");
    else trouble.textContent = (await response.json()).detail;
  } catch {
    trouble.textContent = "The router cannot be reached.";
  }
});
