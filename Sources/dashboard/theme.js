// Dark and light: the system's choice, or the reader's.

const KEY = "anneal-theme";
const ORDER = ["auto", "light", "dark"];

/** Applies the stored theme and makes the button switch it. */
export function startTheme() {
    const button = document.getElementById("theme");
    const apply = (theme) => {
        if (theme === "auto") delete document.documentElement.dataset.theme;
        else document.documentElement.dataset.theme = theme;
        button.textContent = `Theme: ${theme}`;
        document.dispatchEvent(new Event("themechange"));
    };
    apply(ORDER.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : "auto");
    button.addEventListener("click", () => {
        const theme = ORDER[(ORDER.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % ORDER.length];
        localStorage.setItem(KEY, theme);
        apply(theme);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));
}

/** The colours that canvases need, as the style sheet has them at this moment. */
export function chartColours() {
    const probe = document.createElement("span");
    document.body.append(probe);
    const colour = (variable) => {
        probe.style.color = `var(${variable})`;
        return getComputedStyle(probe).color;
    };
    const colours = {
        runs: Array.from({ length: 8 }, (_, index) => colour(`--run-${index}`)),
        grid: colour("--grid"),
        axis: colour("--muted"),
        mark: colour("--text"),
        surface: colour("--surface"),
    };
    probe.remove();
    return colours;
}
