"""Every instrument inside `model.fit`: a Keras callback that records a training, and what its numbers say."""
