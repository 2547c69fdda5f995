/* Numbers and formulas, as text for the picture and as MathML for the words. A formula is a number, a name, or an op with
   its operands; N has of each op: MathML, precedence, those that its operands need, precedence as text, sign. Choices
   and comparisons are in conditions.js, exponents in powers.js. */
const conditions = {};
function num(x) {
  if (x !== x) return "nan";
  const a = Math.abs(x);
  if (a === Infinity) return x < 0 ? "−∞" : "∞";
  if (!a) return Object.is(x, -0) ? "−0" : "0";
  const text = a < 1e-4 || a >= 1e7 ? x.toExponential(3).replace(/\.?0*e\+?/, "e") : "" + +x.toPrecision(a < 1000 ? 4 : 7);
  return text.replace(/-/g, "−");
}
const inBrackets = x => num(x)[0] === "−" ? `(${num(x)})` : num(x);
const esc = text => text.replace(/[&<>"']/g, c => `&#${c.charCodeAt()};`);
/* Names with a number or a sign are in names.js. */
let nameInText = f => f, nameInMathml = f => `<mi>${esc(f)}</mi>`;
const minus = f => typeof f === "number" && num(f)[0] === "−";

/* The formula with names replaced, and with what can be computed in the head computed: x^(3 - 1) is x². */
function fill(f, names) {
  if (typeof f === "string") return Object.hasOwn(names, f) ? names[f] : f;
  if (!Array.isArray(f)) return f;
  const [op, ...given] = f;
  const [a, b] = given.map(x => fill(x, names)), known = typeof a === "number" && typeof b === "number";
  if (op === "neg" && typeof a === "number") return -a;
  if (op === "sub" && known) return a - b;
  if ((N[op] || [])[3] === 4 && b === 1) return a;
  if (op === "mul" && a === 1) return b;
  return [op, ...given.map(x => fill(x, names))];
}
function plain(f, least = 0) {
  if (typeof f === "number") return least > 3 ? inBrackets(f) : num(f);
  if (typeof f === "string") return nameInText(f, least);
  const [op, ...given] = f, [a, b] = given;
  if (conditions[op]) return conditions[op][0](...given);
  const [, , , p, sign] = N[op] || [];
  if (!sign) return `${op}(${given.map(x => plain(x)).join(", ")})`;
  let text = plain(b === undefined ? a : b, p + (b !== undefined));
  if (text[0] === "−" && p < 4) text = `(${text})`;
  if (b === undefined) text = sign + text;
  else if (p < 4) text = plain(a, p) + (p === 1 ? ` ${sign} ` : sign) + text;
  else text = plain(a, 5) + (raised(text).includes("?") ? `^${text}` : raised(text));
  return p < least ? `(${text})` : text;
}
const mo = sign => `<mo>${sign}</mo>`, mrow = inside => `<mrow>${inside}</mrow>`, within = inside => mrow(mo("(") + inside + mo(")"));
const EQUALS = mo("="), PLUS = mo("+"), TIMES = mo("×"), DOT = mo("·");
/* `second`: behind another operand, where a sign needs brackets. */
function mathml(f, least = 0, second) {
  const inside = bare(f, least);
  return second && least > 1 && /^(<mrow>)*<mo>−/.test(inside) ? within(inside) : inside;
}
function bare(f, least) {
  if (typeof f === "number") {
    const text = num(f), inside = text[0] === "−" ? mrow(`${mo("−")}<mn>${text.slice(1)}</mn>`) : `<mn>${text}</mn>`;
    return minus(f) && least > 3 ? within(inside) : inside;
  }
  if (typeof f === "string") return nameInMathml(f, least);
  const [op, ...given] = f;
  if (conditions[op]) return conditions[op][1](...given);
  if (op === "∂") return `<mfrac><mrow>${mo("∂")}${mathml(given[0], 6)}</mrow><mrow>${mo("∂")}${mathml(given[1], 6)}</mrow></mfrac>`;
  const [form, binds, needs] = N[op] || [`<mrow><mi>${esc(op)}</mi><mo>(</mo>${given.map((_, k) => "#" + (k + 1)).join(mo(","))}<mo>)</mo></mrow>`, 6, []];
  const inside = form.replace(/#(\d+)/g, (_, k, at) => mathml(given[k - 1], needs[k - 1], k > 1 || form.slice(0, at).includes("</mo>")));
  return binds < least ? within(inside) : inside;
}
const math = (...parts) => `<math displaystyle=true>${mrow(parts.join(""))}</math>`;
const sized = x => x < 0 ? "minus" : x > 0 ? "plus" : "";
const coloured = (x, open) => { const inside = `<mrow class="${sized(x)}">${mathml(x)}</mrow>`; return minus(x) && !open ? within(inside) : inside; };
