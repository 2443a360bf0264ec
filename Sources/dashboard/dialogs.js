// Questions to the reader, in <dialog> elements, and short notices.

import { h } from "./dom.js";

/**
 * Opens a dialog and waits for its answer.
 * @param {{title: string, body: Array, submit?: string, dismiss?: string, danger?: boolean, read?: function(): *}} options
 *   `read` gives the answer when it is confirmed; a `null` from it keeps the dialog open.
 * @returns {Promise<*>} Null where the reader dismissed it.
 */
export function ask({ title, body, submit, dismiss = "Cancel", danger = false, read = () => true }) {
    return new Promise((resolve) => {
        let answer = null;
        const close = h("button", { type: "button", on: { click: () => dialog.close() } }, dismiss);
        const confirm = submit ? h("button", { type: "submit", class: danger ? "danger" : "primary" }, submit) : null;
        const form = h("form", {
            on: {
                submit: (event) => {
                    event.preventDefault();
                    answer = read();
                    if (answer !== null) dialog.close();
                },
            },
        }, h("h2", { id: "dialog-title" }, title), ...body, h("div", { class: "buttons" }, close, confirm));
        const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
        dialog.addEventListener("close", () => {
            dialog.remove();
            resolve(answer);
        });
        document.body.append(dialog);
        dialog.showModal();
    });
}

/** Whether the reader confirms an action. */
export async function confirmed(title, text, submit, danger = false) {
    return await ask({ title, body: [h("p", {}, text)], submit, danger, dismiss: "Keep as it is" }) === true;
}

/** Asks for a whole number between two others; null where the reader dismissed it. */
export function askForNumber(title, label, { value, min, max, submit }) {
    const input = h("input", { type: "number", min, max, step: 1, required: true, value, autofocus: true });
    return ask({
        title,
        submit,
        body: [h("label", { class: "field" }, label, input)],
        read: () => (input.reportValidity() ? input.valueAsNumber : null),
    });
}

/** Asks for a line of text, which may be empty. */
export function askForText(title, label, { submit, maxlength }) {
    const input = h("input", { type: "text", maxlength, autofocus: true });
    return ask({ title, submit, body: [h("label", { class: "field" }, label, input)], read: () => input.value.trim() });
}

/** Asks for the API's token. It is kept for this tab only, and never becomes part of an address. */
export function askForToken(wasRefused) {
    const input = h("input", { type: "password", autocomplete: "off", required: true, autofocus: true });
    const why = wasRefused ? "The daemon did not take the token." : "The daemon wants a token.";
    return ask({
        title: "Token",
        submit: "Continue",
        body: [h("p", {}, `${why} It is kept until this tab is closed.`), h("label", { class: "field" }, "Token", input)],
        read: () => input.value.trim() || null,
    });
}

/**
 * Shows a notice for a few seconds.
 * @param {string} text
 * @param {boolean} [isError] Errors stay longer.
 */
export function toast(text, isError = false) {
    const shown = h("p", { class: isError ? "toast error" : "toast" }, text);
    document.getElementById("toasts").append(shown);
    setTimeout(() => shown.remove(), isError ? 12_000 : 4000);
}
