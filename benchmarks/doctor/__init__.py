"""How far the findings of `dlhw.Watch` can be trusted: broken programs and healthy trainings, and a confusion table.

The broken programs have the faults of the programs on which earlier doctors for Keras were judged (DeepLocalize, ICSE
2021; UMLAUT, CHI 2021; AUTOTRAINER, ICSE 2021; DeepDiagnosis, ICSE 2022), written anew for Keras 3 on small data. The
healthy trainings are what a competent person writes, and reach a stated score on held-out data.
"""
