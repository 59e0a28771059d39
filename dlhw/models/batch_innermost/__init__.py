"""The batch-innermost layout: a chain of Keras layers computed on activations (channels, height, width, batch).

Few channels fill no vector register and no row of a matrix product; the examples of a batch do. `known` says which
Keras models are such chains, `sizes` which part of each image is needed, `tiles` how many neighbouring outputs of a
convolution one matrix product gives; `layers` holds the arithmetic, `chain` puts it together. It is fast if compiled
with XLA only: one by one, the operations are slower than Keras's.
"""
