/**
 * The part of a page's script that asks the server to begin an authorization, and leaves the page for the provider.
 * `leave` navigates to the address.
 */
export const BEGIN_SCRIPT = `
const main = document.querySelector('main');
const buttons = [...document.querySelectorAll('button')];
const problem = document.getElementById('problem');
let isGoing = false;
function setGoing(value) {
  isGoing = value;
  for (const button of buttons) button.disabled = value;
}
async function begin(body, leave) {
  if (isGoing) return;
  setGoing(true);
  problem.textContent = '';
  try {
    const response = await fetch(location.pathname, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const result = await response.json();
    if (response.ok) return leave(result.authorizationUrl);
    problem.textContent = result.error.message;
  } catch {
    problem.textContent = 'The server cannot be reached. Check your connection and try again.';
  }
  setGoing(false);
  main.hidden = false;
}`;
