// Formulas in the notebooks are text. This file stands where a page would otherwise fetch MathJax.
